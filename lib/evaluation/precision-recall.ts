import { callbacks, instance, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { MactokError, outOfRange } from '../errors.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { concatenate, Tensor } from '../tensor/tensor.js'

export interface PrecisionRecallOptions {
  /** The neighbour whose distance is an image's radius. Default 3. */
  k?: number
  /** Rows whose distances to all others are in memory at once. Default 512. */
  block?: number
  onProgress?: (done: number, total: number) => void
  signal?: AbortSignal | undefined
}

export interface PrecisionRecall {
  /** The fraction of generated images that lie within the manifold of the real ones. */
  precision: number
  /** The fraction of real images that lie within the manifold of the generated ones. */
  recall: number
}

/**
 * Improved precision and recall (Kynkäänniemi et al. 2019) of features [N, D] and [M, D], with ADM's definitions: squared Euclidean
 * distances, the third neighbour.
 * @throws {RangeError} too few images for k neighbours
 */
export async function precisionRecall(
  real: Tensor<'float32'>,
  generated: Tensor<'float32'>,
  options: PrecisionRecallOptions = {}
): Promise<PrecisionRecall> {
  checkOptions(options, { k: true, block: true, onProgress: true, signal: true })
  const { k = 3, block = 512, onProgress, signal } = options
  for (const [name, value] of Object.entries({ k, block })) positive(name, value)
  for (const [name, value] of Object.entries({ real, generated })) instance(name, 'a Tensor', Tensor, value)
  callbacks(options)
  const rows = ({ shape }: Tensor) => shape[0] as number
  for (const [name, features] of Object.entries({ real, generated })) {
    if (rows(features) <= k) throw outOfRange(name, `features of more than ${k} images`, rows(features))
  }
  const total = 2 * (rows(real) + rows(generated))
  let done = 0
  const forEachBlock = async (features: Tensor<'float32'>, work: (part: Tensor<'float32'>) => Promise<void>) => {
    for (let first = 0; first < rows(features); first += block) {
      if (signal?.aborted) throw new MactokError('ERR_ABORTED', 'Precision and recall were stopped')
      using part = features.slice(first, Math.min(rows(features), first + block))
      await work(part)
      done += rows(part)
      onProgress?.(done, total)
    }
  }
  const radii = async (features: Tensor<'float32'>): Promise<Tensor<'float32'>> => {
    const parts: Tensor<'float32'>[] = []
    await forEachBlock(features, async (part) => {
      parts.push(Tensor.wrap(await native(addon().neighbourRadii(part.native, features.native, k))))
    })
    return concatenate(parts).finally(() => {
      for (const part of parts) part.dispose()
    })
  }
  const fractionInside = async (queries: Tensor<'float32'>, features: Tensor<'float32'>): Promise<number> => {
    using around = await radii(features)
    let inside = 0
    await forEachBlock(queries, async (part) => {
      using mask = Tensor.wrap<'bool'>(await native(addon().inManifold(part.native, features.native, around.native)))
      inside += (await mask.data()).reduce((sum, one) => sum + one, 0)
    })
    return inside / rows(queries)
  }
  return { precision: await fractionInside(generated, real), recall: await fractionInside(real, generated) }
}
