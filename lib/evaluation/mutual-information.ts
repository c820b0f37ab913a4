import { invalidParameter } from '../errors.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { checkSamples } from './latent-samples.js'

/** Gaussian posteriors of images. */
export interface Posteriors {
  count: number
  tokens: number
  channels: number
  /** [count, tokens, channels] */
  means: Float32Array
  /** The same shape. */
  logvars: Float32Array
}

export interface MutualInformation {
  /** Of images and all latents, in nats: 0 of a collapsed posterior, at most the logarithm of the number of images. */
  total: number
  /** Of images and each token alone. */
  perToken: number[]
}

/**
 * Estimates the mutual information of images and latents, E KL(q(z|x) ‖ p(z)) − KL(q(z) ‖ p(z)) = E log q(z|x) − E log q(z)
 * (Hoffman and Johnson 2016), with the mixture of all posteriors for q(z) and one sample of each posterior (as He et al. 2019).
 * A lower bound for the images' distribution that cannot exceed log N: it tells how far the images can be told apart.
 */
export async function mutualInformation(posteriors: Posteriors): Promise<MutualInformation> {
  checkSamples('posteriors', posteriors)
  const { count, tokens, channels, means, logvars } = posteriors
  if (logvars === null) throw invalidParameter('posteriors.logvars', 'a Float32Array', logvars)
  const shape = [count, tokens, channels]
  const noise = addon().normal(0, 'mutual-information', 0, 0, count, tokens * channels)
  const samples = noise.map((value, i) => (means[i] as number) + Math.exp((logvars[i] as number) / 2) * value)
  const inputs = [means, logvars, samples].map((values) => addon().tensor(values, 'float32', shape, 'cpu'))
  const [mean, logvar, sample] = inputs as [(typeof inputs)[0], (typeof inputs)[0], (typeof inputs)[0]]
  try {
    const { total, tokens: each } = await native(addon().mutualInformation(mean, logvar, sample))
    inputs.push(each)
    return { total, perToken: [...new Float64Array(await native(each.read()))] }
  } finally {
    for (const input of inputs) input.dispose()
  }
}
