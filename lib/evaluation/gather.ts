import { rm } from 'node:fs/promises'
import { positive } from '../checks.js'
import { MactokError } from '../errors.js'
import { tensor } from '../tensor/tensor.js'
import type { Inception } from './inception.js'
import { PictureStatistics, type StatisticsOptions } from './picture-statistics.js'
import type { PictureStream } from './picture-stream.js'

export interface GatherOptions extends StatisticsOptions {
  /** Pictures in one pass. Default 64. */
  batch?: number
  /** Where to keep what was gathered, to go on after an interruption; removed at the end. */
  partial?: { file: string; key: string; every?: number } | null
  onProgress?: ((done: number, total: number) => void) | undefined
  /** Stops between two batches with ERR_ABORTED, after writing `partial`. */
  signal?: AbortSignal | undefined
}

/** The statistics of a stream of pictures. */
export async function gather(
  inception: Inception,
  pictures: PictureStream,
  options: GatherOptions = {}
): Promise<PictureStatistics> {
  const { batch = 64, partial, onProgress, signal, ...wanted } = options
  const statistics = await PictureStatistics.create(inception, wanted)
  const every = partial?.every ?? 5_000
  for (const [name, value] of Object.entries({ batch, every })) positive(name, value)
  let done = 0
  let saved = 0
  const save = async () => {
    if (partial && done > saved) await statistics.save(partial.file, partial.key, done)
    saved = done
  }
  try {
    if (partial) done = saved = await statistics.resume(partial.file, partial.key)
    onProgress?.(done, pictures.total)
    if (done < pictures.total) {
      for await (const { images, count, next } of pictures.batches(done, batch)) {
        using input = tensor(images, [count, pictures.height, pictures.width, 3], { dtype: 'uint8' })
        await statistics.add(input)
        done = next
        onProgress?.(done, pictures.total)
        if (done - saved >= every) await save()
        if (signal?.aborted && done < pictures.total) {
          throw new MactokError('ERR_ABORTED', `Stopped after ${done} of ${pictures.total} pictures`)
        }
      }
    }
    if (partial) await rm(partial.file, { force: true })
    return statistics
  } catch (error) {
    // Drawing may be stopped in the midst of a batch; those before it count.
    if (error instanceof MactokError && error.code === 'ERR_ABORTED') await save()
    statistics.dispose()
    throw error
  }
}
