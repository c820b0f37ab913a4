import { Workers } from './workers.js'

export interface PrefetchOptions {
  /** Batches prepared ahead of the one in use. */
  prefetch: number
  /** Images read and decoded concurrently. */
  concurrency: number
}

/**
 * Yields make(start), make(start + 1), … before `end`, in order, while the next ones are being made. Leaving the loop
 * or a failure stops the work: nothing runs any more once the iterator has returned.
 */
export async function* prefetch<T>(
  start: number,
  end: number,
  { prefetch: ahead, concurrency }: PrefetchOptions,
  make: (index: number, workers: Workers) => Promise<T>
): AsyncGenerator<T, void, undefined> {
  const workers = new Workers(concurrency)
  const queue: Promise<T>[] = []
  let next = start
  try {
    for (let index = start; index < end; index++) {
      while (queue.length <= ahead && next < end) {
        const batch = make(next++, workers)
        // A failure is reported when the batch's turn comes.
        batch.catch(() => {})
        queue.push(batch)
      }
      yield await (queue.shift() as Promise<T>)
    }
  } finally {
    await workers.stop()
  }
}
