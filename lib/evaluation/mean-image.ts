import { evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import { BATCH } from '../tensor/settings.js'
import { psnr } from './psnr.js'

/**
 * The mean PSNR, in dB, of reconstructing every image as the mean of `training`: what a tokenizer reaches whose latents carry nothing.
 * @param options.size - side of the images' centre crops
 */
export async function meanImagePsnr(
  training: ImageSet,
  heldOut: ImageSet,
  { size, onBroken }: { size: number; onBroken?: (broken: Broken) => void }
): Promise<number> {
  const plane = size * size
  const sum = new Float64Array(plane * 3)
  let count = 0
  for await (const { images, indices } of evaluationBatches(training, { size, batch: BATCH, onBroken })) {
    for (let i = 0; i < images.length; i++)
      sum[i % sum.length] = (sum[i % sum.length] as number) + (images[i] as number)
    count += indices.length
  }
  const mean = new Float32Array(plane * 3)
  for (let i = 0; i < sum.length; i++) {
    mean[(i % 3) * plane + Math.floor(i / 3)] = (sum[i] as number) / count / 127.5 - 1
  }
  const values: number[] = []
  for await (const { images } of evaluationBatches(heldOut, { size, batch: 1, onBroken })) {
    values.push(...psnr(images, mean, 1))
  }
  return values.reduce((total, value) => total + value, 0) / values.length
}
