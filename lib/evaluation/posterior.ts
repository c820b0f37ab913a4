export interface PosteriorSummary {
  /** Fraction of the L·Z latents whose mean varies over the images: Var_x(μ) > 0.01. */
  activeUnits: number
  /** KL divergence from N(0, 1) in nats, summed over all latents, mean over the images. */
  kl: number
  /** The same by channel, summed over the tokens: [Z]. */
  klPerChannel: number[]
}

/** Statistics of the posteriors of many images, accumulated batch by batch in double precision. */
export class PosteriorStatistics {
  #images = 0
  readonly #sum: Float64Array
  readonly #squares: Float64Array
  readonly #kl: Float64Array

  /**
   * @param tokens - L
   * @param channels - Z
   */
  constructor(
    tokens: number,
    private readonly channels: number
  ) {
    const units = tokens * channels
    this.#sum = new Float64Array(units)
    this.#squares = new Float64Array(units)
    this.#kl = new Float64Array(units)
  }

  /** mean, logvar: [B, L, Z] */
  add(mean: Float32Array, logvar: Float32Array): void {
    const units = this.#sum.length
    this.#images += mean.length / units
    for (let i = 0; i < mean.length; i++) {
      const unit = i % units
      const [mu, log] = [mean[i] as number, logvar[i] as number]
      this.#sum[unit] = (this.#sum[unit] as number) + mu
      this.#squares[unit] = (this.#squares[unit] as number) + mu * mu
      this.#kl[unit] = (this.#kl[unit] as number) + (mu * mu + Math.exp(log) - 1 - log) / 2
    }
  }

  /** Empty when nothing was added. */
  result(): PosteriorSummary | Record<string, never> {
    const images = this.#images
    if (images === 0) return {}
    const variance = (square: number, unit: number) => square / images - ((this.#sum[unit] as number) / images) ** 2
    const active = this.#squares.map(variance).filter((value) => value > 0.01)
    const total = (kl: Float64Array) => kl.reduce((sum, value) => sum + value, 0) / images
    const klPerChannel = Array.from({ length: this.channels }, (_, channel) =>
      total(this.#kl.filter((_, unit) => unit % this.channels === channel))
    )
    return { activeUnits: active.length / this.#sum.length, kl: total(this.#kl), klPerChannel }
  }
}
