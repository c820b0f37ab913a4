import type { z } from 'zod'
import { object, oneOf } from '../checks.js'
import { invalidParameter } from '../errors.js'
import { Dinov2 } from './dinov2.js'
import { Inception } from './inception.js'
import { type GenerationMetric, generationMetrics, networkOf } from './metric-names.js'
import type { inceptionSchema } from './schema.js'

/** The networks whose features images are compared by; one that no metric needs may be missing. */
export interface Networks {
  inception?: Inception | null | undefined
  dinov2?: Dinov2 | null | undefined
}

export interface NetworkOptions extends Pick<z.input<typeof inceptionSchema>, 'input' | 'precision'> {
  /** Weights by name or path. Default: `inception-fid` and `dinov2-large`. */
  inception?: string | undefined
  dinov2?: string | undefined
  device?: string | undefined
}

/**
 * Loads the networks that metrics of generated images need.
 * @throws {MactokError} ERR_FORMAT when weights are not found, with how to get them
 */
export async function loadNetworks(
  metrics: readonly GenerationMetric[],
  options: NetworkOptions = {}
): Promise<Networks & Disposable> {
  object('options', 'an object', options)
  const { inception: weights, dinov2, device, input, precision } = options
  if (!Array.isArray(metrics)) throw invalidParameter('metrics', 'an array of metrics', metrics)
  for (const metric of metrics) oneOf('metrics', generationMetrics, metric)
  const needed = new Set(metrics.map(networkOf))
  const networks: Networks = {}
  const dispose = () => {
    networks.inception?.dispose()
    networks.dinov2?.dispose()
  }
  try {
    if (needed.has('inception')) networks.inception = await Inception.load({ weights, device, input, precision })
    if (needed.has('dinov2')) networks.dinov2 = await Dinov2.load({ weights: dinov2, device, precision })
    return { ...networks, [Symbol.dispose]: dispose }
  } catch (error) {
    dispose()
    throw error
  }
}
