import { mutualInformation } from './mutual-information.js'

/** Whether a latent whose mean has this variance over the images is active (Burda et al. 2016). */
export const isActive = (variance: number): boolean => variance > 0.01

export interface PosteriorSummary {
  /** Fraction of the L·Z latents whose mean varies over the images: Var_x(μ) > 0.01. */
  activeUnits: number
  /** Fraction of the L tokens that have an active unit. */
  activeTokens: number
  /** Fraction of the L tokens that alone hold at least 1 nat of information about the image. */
  informativeTokens: number
  /** KL divergence from N(0, 1) in nats, summed over all latents, averaged over the images. */
  kl: number
  /** Estimate of the information that the latents hold about the image, in nats: see `mutualInformation`. */
  mutualInformation: number
  /** Estimate of KL(q(z) ‖ N(0, 1)), the part of the KL that is not information: how far all latents together are from the prior. */
  aggregateKl: number
  /** The KL per channel, summed over the tokens: [Z]. */
  klPerChannel: number[]
  /** The KL per token, summed over the channels: [L]. */
  klPerToken: number[]
  /** The fraction of each token's Z latents that are active: [L]. */
  activeUnitsPerToken: number[]
  /** The information that each token alone holds: [L]. */
  mutualInformationPerToken: number[]
}

/** Images whose posteriors are kept for the mutual information, which costs the square of it. */
const mostKept = 2_048

/** Accumulates statistics of many images' posteriors in double precision. */
export class PosteriorStatistics {
  #images = 0
  readonly #sum: Float64Array
  readonly #squares: Float64Array
  readonly #kl: Float64Array
  /** Every `#stride`-th image's posterior, so that those kept are spread over all. */
  #kept: { mean: Float32Array; logvar: Float32Array }[] = []
  #stride = 1

  /**
   * @param tokens - L
   * @param channels - Z
   */
  constructor(
    private readonly tokens: number,
    private readonly channels: number
  ) {
    const units = tokens * channels
    this.#sum = new Float64Array(units)
    this.#squares = new Float64Array(units)
    this.#kl = new Float64Array(units)
  }

  /**
   * @param mean - [B, L, Z]
   * @param logvar - [B, L, Z]
   */
  add(mean: Float32Array, logvar: Float32Array): void {
    const units = this.#sum.length
    for (let i = 0; i < mean.length; i++) {
      const unit = i % units
      const [mu, log] = [mean[i] as number, logvar[i] as number]
      this.#sum[unit] = (this.#sum[unit] as number) + mu
      this.#squares[unit] = (this.#squares[unit] as number) + mu * mu
      this.#kl[unit] = (this.#kl[unit] as number) + (mu * mu + Math.exp(log) - 1 - log) / 2
    }
    for (let at = 0; at < mean.length; at += units, this.#images++) {
      if (this.#images % this.#stride !== 0) continue
      this.#kept.push({ mean: mean.slice(at, at + units), logvar: logvar.slice(at, at + units) })
      if (this.#kept.length < mostKept) continue
      this.#kept = this.#kept.filter((_, i) => i % 2 === 0)
      this.#stride *= 2
    }
  }

  /** Summarises what was added; an empty object if that is nothing. */
  async result(): Promise<PosteriorSummary | Record<string, never>> {
    const { channels, tokens } = this
    const images = this.#images
    if (images === 0) return {}
    const active = this.#squares.map((square, unit) =>
      Number(isActive(square / images - ((this.#sum[unit] as number) / images) ** 2))
    )
    const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0)
    const ofToken = (values: Float64Array) =>
      Array.from({ length: tokens }, (_, token) => total(values.subarray(token * channels, (token + 1) * channels)))
    const klPerChannel = Array.from(
      { length: channels },
      (_, channel) => total(this.#kl.filter((_, unit) => unit % channels === channel)) / images
    )
    const activeUnitsPerToken = ofToken(active).map((count) => count / channels)
    const kl = total(this.#kl) / images
    const information = await this.#information()
    return {
      activeUnits: total(active) / active.length,
      activeTokens: activeUnitsPerToken.filter((value) => value > 0).length / tokens,
      informativeTokens: information.perToken.filter((value) => value >= 1).length / tokens,
      kl,
      mutualInformation: information.total,
      aggregateKl: kl - information.total,
      klPerChannel,
      klPerToken: ofToken(this.#kl).map((value) => value / images),
      activeUnitsPerToken,
      mutualInformationPerToken: information.perToken
    }
  }

  #information() {
    const { channels, tokens } = this
    const units = tokens * channels
    const count = this.#kept.length
    const means = new Float32Array(count * units)
    const logvars = new Float32Array(count * units)
    for (const [i, { mean, logvar }] of this.#kept.entries()) {
      means.set(mean, i * units)
      logvars.set(logvar, i * units)
    }
    return mutualInformation({ count, tokens, channels, means, logvars })
  }
}
