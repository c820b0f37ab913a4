import { rm } from 'node:fs/promises'
import type { z } from 'zod'
import { positive } from '../checks.js'
import { parseConfig } from '../config.js'
import { computeByRanks } from '../distributed/deal.js'
import type { RankGroup } from '../distributed/rank-group.js'
import { invalidParameter, MactokError } from '../errors.js'
import { tensor } from '../tensor/tensor.js'
import { extractFeatures } from './image-features.js'
import { ImageStatistics } from './image-statistics.js'
import type { ImageBatch, ImageStream } from './image-stream.js'
import type { Networks } from './networks.js'
import { gatherSchema } from './schema.js'

export interface GatherOptions extends z.input<typeof gatherSchema> {
  /**
   * Saves the statistics so far here, every 5,000 images or `every`, so that an interrupted call resumes. Removed at the end; with
   * `keep` the file stays, and a later call with the same key reads it instead of the images.
   */
  partial?: { file: string; key: string; every?: number; keep?: boolean } | null | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
  /** Stops between two batches with ERR_ABORTED, after writing `partial`. */
  signal?: AbortSignal | undefined
  /** Ranks whose streams are their own batches of the images, without `partial`; rank 0 has the statistics, the others' are empty. */
  group?: RankGroup | null
}

/** Gathers the statistics of a stream of images. */
export async function gather(
  networks: Networks,
  stream: ImageStream,
  options: GatherOptions = {}
): Promise<ImageStatistics> {
  const { partial, onProgress, signal, group = null, ...settings } = options
  const { batch, ...wanted } = parseConfig(gatherSchema, settings)
  const every = partial?.every ?? 5_000
  positive('every', every)
  const statistics = await ImageStatistics.create(networks, wanted)
  let done = 0
  let saved = 0
  const save = async () => {
    if (partial && done > saved) await statistics.save(partial.file, partial.key, done)
    saved = done
  }
  try {
    if (partial) done = saved = await statistics.resume(partial.file, partial.key)
    onProgress?.(done, stream.total)
    if (done < stream.total) {
      const compute = async ({ images, count, next }: ImageBatch) => {
        using input = tensor(images, [count, stream.height, stream.width, 3], { dtype: 'uint8' })
        return { features: await extractFeatures(networks, input, wanted), next }
      }
      for await (const { features, next } of computeByRanks(group, iterable(stream.batches(done, batch)), compute)) {
        await statistics.add(features)
        done = next
        onProgress?.(done, stream.total)
        if (done - saved >= every) await save()
        if (signal?.aborted && done < stream.total) {
          throw new MactokError('ERR_ABORTED', `Stopped after ${done} of ${stream.total} images`)
        }
      }
    }
    if (partial?.keep) await save()
    else if (partial) await rm(partial.file, { force: true })
    return statistics
  } catch (error) {
    // The abort may have come in the middle of a batch; those before it count.
    if (error instanceof MactokError && error.code === 'ERR_ABORTED') await save()
    statistics.dispose()
    throw error
  }
}

/** What a stream of images gives, if it can be iterated. */
function iterable<T>(batches: AsyncIterable<T>): AsyncIterable<T> {
  if (typeof Object(batches)[Symbol.asyncIterator] === 'function') return batches
  throw invalidParameter('generated', 'images whose batches() can be iterated by `for await`', batches)
}
