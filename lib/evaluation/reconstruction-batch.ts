/** What the metrics of reconstructions need of each batch: the costly part, which ranks share. */

import type { EvaluationBatch } from '../data/evaluation-batches.js'
import { toLevels } from '../data/levels.js'
import type { NativePerceptual, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { Tensor, tensor } from '../tensor/tensor.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { extractFeatures, type ImageFeatures } from './image-features.js'
import type { ReconstructionMetric } from './metric-names.js'
import type { Networks } from './networks.js'
import { levelsPsnr } from './psnr.js'
import { SSIM_WINDOW, ssim } from './ssim.js'

/** Of a batch's B images, as plain arrays, which ranks can send; null: not computed. */
export interface ReconstructionMeasures {
  /** [B], -1 for none. */
  labels: Int32Array
  /** [B] each. */
  psnr: number[]
  samplePsnr: number[] | null
  ssim: number[] | null
  lpips: Float32Array | null
  /** Posterior means and log-variances [B, L, Z]; no log-variances without a posterior. */
  means: Float32Array | null
  logvars: Float32Array | null
  original: ImageFeatures | null
  decoded: ImageFeatures | null
}

export interface MeasuringNetworks extends Networks {
  tokenizer: Tokenizer
  perceptual: NativePerceptual | null
}

export interface MeasuringOptions {
  metrics: readonly ReconstructionMetric[]
  precision: Precision
  /** Whether the means are needed without a posterior, too. */
  latents: boolean
}

/** Measures the reconstructions of a batch from posterior means, and samples where requested; null of a batch without images. */
export async function measureReconstructions(
  { tokenizer, perceptual, inception, dinov2 }: MeasuringNetworks,
  { images, indices, labels }: EvaluationBatch,
  { metrics, precision, latents: needsLatents }: MeasuringOptions
): Promise<ReconstructionMeasures | null> {
  const count = indices.length
  if (count === 0) return null
  const { imageSize: size } = tokenizer.config
  const shape = [count, size, size, 3]
  using original = tensor(images, shape, { dtype: 'uint8' })
  const { mean: latents, logvar } = await tokenizer.posterior(original, { precision })
  using _ = latents
  using __ = logvar
  using output = await tokenizer.decode(latents, { precision })
  const levels = toLevels(await output.toFloat32(), count)
  using decoded = tensor(levels, shape, { dtype: 'uint8' })
  const hasNetworks = !!inception || !!dinov2
  return {
    labels,
    psnr: levelsPsnr(images, levels, count),
    samplePsnr: logvar && metrics.includes('samplePsnr') ? await samplePsnr() : null,
    ssim: metrics.includes('ssim') && size >= SSIM_WINDOW ? await ssim(original, decoded) : null,
    lpips: perceptual && (await distances(perceptual, decoded, original)),
    means: logvar || needsLatents ? await latents.toFloat32() : null,
    logvars: logvar && (await logvar.toFloat32()),
    original: hasNetworks ? await extractFeatures({ inception, dinov2 }, original) : null,
    decoded: hasNetworks ? await extractFeatures({ inception, dinov2 }, decoded) : null
  }

  async function samplePsnr(): Promise<number[]> {
    using samples = await tokenizer.encode(original, { sample: true, indices: Array.from(indices), precision })
    using output = await tokenizer.decode(samples, { precision })
    return levelsPsnr(images, toLevels(await output.toFloat32(), count), count)
  }
}

async function distances(
  perceptual: NativePerceptual,
  decoded: Tensor<'uint8'>,
  original: Tensor<'uint8'>
): Promise<Float32Array> {
  using distance = Tensor.wrap<'float32'>(await native(perceptual.distance(decoded.native, original.native, 'fp32')))
  return distance.toFloat32()
}
