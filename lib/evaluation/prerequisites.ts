/** What metrics need, checked before the hours of work whose results they measure. */

import { MactokError, outOfRange } from '../errors.js'
import { NpzFile } from '../files/npz-reader.js'
import { openDinov2 } from '../weights/dinov2.js'
import { openInception } from '../weights/inception.js'
import { openLpips } from '../weights/lpips.js'
import { disposeGaussians } from './image-statistics.js'
import { openImages } from './image-stream.js'
import {
  type FeatureNetwork,
  featureNetworks,
  type GenerationMetric,
  generationMetrics,
  networkOf,
  type ReconstructionMetric
} from './metric-names.js'
import { needsNetwork } from './reconstruction-totals.js'
import { readStatistics } from './statistics-file.js'

type Metric = GenerationMetric | ReconstructionMetric

const openers = { inception: openInception, dinov2: openDinov2, lpips: openLpips }

const isGenerationMetric = (metric: Metric): metric is GenerationMetric =>
  (generationMetrics as readonly Metric[]).includes(metric)

/** The network whose features a metric compares distributions by; undefined where it compares none. */
const comparedBy = (metric: Metric): FeatureNetwork | undefined =>
  isGenerationMetric(metric) ? networkOf(metric) : featureNetworks.find((network) => needsNetwork(network, [metric]))

/** The least number of images that a metric can be computed from: a covariance, or ADM's third neighbour and the image itself. */
function leastImages(metric: Metric): number {
  if (metric === 'precision' || metric === 'recall') return 4
  return comparedBy(metric) ? 2 : 1
}

/** Fails with what cannot be done, and why. */
async function explain<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof MactokError)) throw cause
    throw new MactokError(cause.code, `${what}: ${cause.message}`, { cause })
  }
}

/**
 * Opens the weights that metrics need, and closes them.
 * @param setting - the name of the setting that requests the metrics
 * @param weights - names or paths
 * @throws {MactokError} ERR_FORMAT when they are not found, naming metric and setting, with how to get them
 */
export async function requireWeights(
  setting: string,
  metrics: readonly Metric[],
  weights: Record<FeatureNetwork, string> & { lpips?: string }
): Promise<void> {
  const opened = new Set<string>()
  for (const metric of metrics) {
    const network = metric === 'lpips' ? metric : comparedBy(metric)
    const name = network && weights[network]
    if (!name || opened.has(name)) continue
    opened.add(name)
    const open = async () => (await openers[network](name)).close()
    await explain(`${metric}, which ${setting} requests, cannot be computed`, open)
  }
}

/**
 * Refuses fewer images than metrics can be computed from.
 * @param setting - the name of the setting that decides their number
 * @throws {RangeError} naming the setting and a metric
 */
export function requireImages(setting: string, metrics: readonly Metric[], images: number): void {
  for (const metric of metrics) {
    const least = leastImages(metric)
    if (images < least) throw outOfRange(setting, `${least} or more images, which ${metric} needs`, images)
  }
}

/**
 * Opens what generated images are to be compared with, and closes it.
 * @param setting - the name of the setting that gives its path
 * @returns the number of its images; null where only statistics are known
 * @throws {MactokError} ERR_FORMAT when there is none, or when it cannot be read
 */
export const countReference = (setting: string, path: string): Promise<number | null> =>
  explain(`Expected images (a folder, tars, .npz) or statistics (.npz) for ${setting}`, async () => {
    if (path.endsWith('.npz')) {
      await using file = await NpzFile.open(path)
      const known = await readStatistics(file)
      if (known) disposeGaussians(known)
      if (known && !file.has('arr_0')) return null
    }
    // The crops' side, which would otherwise be that of the first image, does not matter: none is read.
    await using images = await openImages(path, { size: 1 })
    return images.total
  })
