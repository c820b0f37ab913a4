import { instance, object, oneOf } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { native } from '../native/errors.js'
import { Tensor, tensor } from '../tensor/tensor.js'

/** [L, Z] for tokens, [C, H, W] for latents of two-dimensional tokenizers. */
export type SampleShape = readonly [number, number] | readonly [number, number, number]

/** The number of channels, and how many consecutive elements share one: tokens have channels last, images first. */
export function channelLayout(shape: SampleShape): { channels: number; run: number } {
  return shape.length === 2 ? { channels: shape[1], run: 1 } : { channels: shape[0], run: shape[1] * shape[2] }
}

export const sampleSize = (shape: SampleShape): number => shape.reduce((product, size) => product * size, 1)

/** Sums for the manifest; JSON keeps them exactly, because it writes numbers with all their digits. */
export interface ChannelSums {
  count: number
  mean: number[]
  /** Sums of squared deviations from the mean. */
  squares: number[]
  /** Sums of the posteriors' variances. */
  variances: number[]
}

/**
 * Accumulates mean and variance per channel in double precision, sample by sample (Chan, Golub and LeVeque 1983), so
 * that neither batch size nor shard size changes the result beyond rounding.
 */
export class ChannelAccumulator {
  private count = 0
  private readonly mean: Float64Array
  private readonly squares: Float64Array
  private readonly variances: Float64Array

  constructor(private readonly shape: SampleShape) {
    const { channels } = channelLayout(shape)
    this.mean = new Float64Array(channels)
    this.squares = new Float64Array(channels)
    this.variances = new Float64Array(channels)
  }

  /** Adds one sample, and with a posterior's log-variances the variance that sampling would add. */
  add(sample: Float32Array, logvar?: Float32Array): void {
    const { channels, run } = channelLayout(this.shape)
    const block = channels * run
    const count = sample.length / channels
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0
      let variance = 0
      for (let start = channel * run; start < sample.length; start += block) {
        for (let i = start; i < start + run; i++) {
          sum += sample[i] as number
          if (logvar) variance += Math.exp(logvar[i] as number)
        }
      }
      const mean = sum / count
      let squares = 0
      for (let start = channel * run; start < sample.length; start += block) {
        for (let i = start; i < start + run; i++) squares += ((sample[i] as number) - mean) ** 2
      }
      this.mergeChannel(channel, count, mean, squares, variance)
    }
    this.count += count
  }

  /** Adds another accumulator's sums. */
  merge(sums: ChannelSums): void {
    if (sums.count === 0) return
    for (let channel = 0; channel < this.mean.length; channel++) {
      const [mean, squares, variance] = [sums.mean[channel], sums.squares[channel], sums.variances[channel]]
      this.mergeChannel(channel, sums.count, mean as number, squares as number, variance as number)
    }
    this.count += sums.count
  }

  private mergeChannel(channel: number, count: number, mean: number, squares: number, variance: number): void {
    const total = this.count + count
    const delta = mean - (this.mean[channel] as number)
    this.squares[channel] = (this.squares[channel] as number) + squares + (delta * delta * this.count * count) / total
    this.mean[channel] = (this.mean[channel] as number) + (delta * count) / total
    this.variances[channel] = (this.variances[channel] as number) + variance
  }

  sums(): ChannelSums {
    return {
      count: this.count,
      mean: [...this.mean],
      squares: [...this.squares],
      variances: [...this.variances]
    }
  }

  /** Unbiased statistics of what was added; with log-variances, var(mean) + E[exp(logvar)]. */
  result(): LatentStatisticsFile {
    const { count, mean, squares, variances } = this.sums()
    const deviation = (n: number, square: number, variance: number) =>
      n > 1 ? Math.sqrt(square / (n - 1) + variance / n) : 0
    const total = count * mean.length
    const grand = mean.reduce((sum, value) => sum + value, 0) / mean.length
    const spread = mean.reduce((sum, value, i) => sum + (squares[i] as number) + count * (value - grand) ** 2, 0)
    const sampled = variances.reduce((sum, value) => sum + value, 0)
    return {
      format_version: 1,
      sample_shape: [...this.shape],
      count,
      mean,
      std: mean.map((_, i) => deviation(count, squares[i] as number, variances[i] as number)),
      scalar: { mean: grand, std: deviation(total, spread, sampled) }
    }
  }
}

/** Whether a value can be numbers of channels; which ones is checked later. */
const isValues = (value: unknown): boolean => Array.isArray(value) || ArrayBuffer.isView(value)

/** A channel that never changes is only centred. */
const nonZero = (std: number): number => std || 1

/** The content of `latents_stats.json`. */
export interface LatentStatisticsFile {
  format_version: 1
  sample_shape: number[]
  /** Elements per channel. */
  count: number
  /** Per channel. */
  mean: number[]
  std: number[]
  /** Over all channels together. */
  scalar: { mean: number; std: number }
}

/**
 * Normalises latents for a generator and denormalises its samples, per channel or with one number for all (`scalar`).
 * One object does both, so that the two directions cannot use different statistics.
 */
export class LatentStatistics {
  readonly mean: Float32Array
  readonly std: Float32Array

  /**
   * @param mean - one value per channel, or a single one for all
   * @param std - likewise; 0 (a constant channel) counts as 1
   * @param sampleShape - [L, Z] or [C, H, W]
   */
  constructor(
    mean: ArrayLike<number>,
    std: ArrayLike<number>,
    readonly sampleShape: SampleShape
  ) {
    if (!Array.isArray(sampleShape)) throw invalidParameter('sampleShape', '[L, Z] or [C, H, W]', sampleShape)
    if (!isValues(mean)) throw invalidParameter('mean', 'an array of numbers', mean)
    if (!isValues(std)) throw invalidParameter('std', 'an array of numbers', std)
    if (![2, 3].includes(sampleShape.length) || !sampleShape.every((size) => Number.isSafeInteger(size) && size > 0)) {
      throw outOfRange('sampleShape', '[L, Z] or [C, H, W], positive integers', sampleShape)
    }
    const { channels } = channelLayout(sampleShape)
    if (mean.length !== 1 && mean.length !== channels) throw outOfRange('mean', `1 or ${channels} values`, mean.length)
    if (std.length !== mean.length) throw outOfRange('std', `${mean.length} values, as many as means`, std.length)
    if (!Array.from(mean).every(Number.isFinite)) throw outOfRange('mean', 'finite values', mean)
    if (!Array.from(std).every((value) => Number.isFinite(value) && value >= 0)) {
      throw outOfRange('std', 'finite values of at least 0', std)
    }
    this.mean = Float32Array.from(mean)
    this.std = Float32Array.from(std)
  }

  static fromFile(file: LatentStatisticsFile, mode: 'channel' | 'scalar' = 'channel'): LatentStatistics {
    object('file', 'the content of latents_stats.json', file)
    oneOf('mode', ['channel', 'scalar'], mode)
    if (mode === 'scalar') object('file.scalar', 'a mean and a std', file.scalar)
    const shape = file.sample_shape as unknown as SampleShape
    return mode === 'scalar'
      ? new LatentStatistics([file.scalar.mean], [file.scalar.std], shape)
      : new LatentStatistics(file.mean, file.std, shape)
  }

  /** The shape in which mean and std broadcast against a batch: [1, 1, Z], or [1, C, 1, 1]. */
  get shape(): number[] {
    return this.sampleShape.length === 2 ? [1, 1, this.mean.length] : [1, this.mean.length, 1, 1]
  }

  /** (latents − mean) / std of a batch, row-major, as a new array. */
  normalise(latents: Float32Array): Float32Array {
    return this.apply(latents, (value, mean, std) => (value - mean) / std)
  }

  /** latents · std + mean: the inverse of `normalise`. */
  denormalise(latents: Float32Array): Float32Array {
    return this.apply(latents, (value, mean, std) => value * std + mean)
  }

  /** The same of a batch on its device: float32 [B, …], the same values bit for bit as `denormalise` gives. */
  async denormaliseTensor(latents: Tensor<'float32'>): Promise<Tensor<'float32'>> {
    instance('latents', 'a Tensor', Tensor, latents)
    using scale = tensor(this.std.map(nonZero), this.shape, { device: latents.device })
    using shift = tensor(this.mean, this.shape, { device: latents.device })
    return Tensor.wrap(await native(latents.native.affine(scale.native, shift.native)))
  }

  private apply(latents: Float32Array, change: (value: number, mean: number, std: number) => number): Float32Array {
    if (!ArrayBuffer.isView(latents)) throw invalidParameter('latents', 'Float32Array', latents)
    const size = sampleSize(this.sampleShape)
    if (latents.length % size !== 0) throw outOfRange('latents', `whole samples of ${size} values`, latents.length)
    const { run } = channelLayout(this.sampleShape)
    const channels = this.mean.length
    const result = new Float32Array(latents.length)
    for (let i = 0; i < latents.length; i++) {
      const channel = Math.floor(i / run) % channels
      result[i] = change(latents[i] as number, this.mean[channel] as number, nonZero(this.std[channel] as number))
    }
    return result
  }

  /** The form stored in a generator's folder. */
  toJSON(): { mean: number[]; std: number[]; sampleShape: number[] } {
    return { mean: [...this.mean], std: [...this.std], sampleShape: [...this.sampleShape] }
  }

  static fromJSON(json: { mean: number[]; std: number[]; sampleShape: number[] }): LatentStatistics {
    object('statistics', 'an object with mean, std and sampleShape', json)
    return new LatentStatistics(json.mean, json.std, json.sampleShape as unknown as SampleShape)
  }
}
