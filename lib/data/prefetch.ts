import { Workers } from './workers.js'

export interface PrefetchOptions {
  /** Batches in the making while one is in use. */
  prefetch: number
  /** Images decoded at the same time. */
  concurrency: number
}

/**
 * Yields make(start), make(start + 1), … up to `end`, in order, with the next ones under way. Leaving the loop (or a failure)
 * stops the work: nothing runs on once the iterator has returned.
 */
export async function* prefetched<T>(
  start: number,
  end: number,
  { prefetch, concurrency }: PrefetchOptions,
  make: (index: number, workers: Workers) => Promise<T>
): AsyncGenerator<T, void, undefined> {
  const workers = new Workers(concurrency)
  const queue: Promise<T>[] = []
  let next = start
  try {
    for (let index = start; index < end; index++) {
      while (queue.length <= prefetch && next < end) {
        const batch = make(next++, workers)
        batch.catch(() => {}) // reported when its turn comes
        queue.push(batch)
      }
      yield await (queue.shift() as Promise<T>)
    }
  } finally {
    await workers.stop()
  }
}
