import { prefetch } from '../../data/prefetch.js'
import { sampleOrder } from '../../data/shuffle.js'
import type { LatentShards, LatentStatistics } from '../../latents/index.js'
import { samplePosterior } from '../../latents/posterior.js'
import { addon } from '../../native/load.js'

export interface LatentBatch {
  /** Normalised, row-major [B, …sampleShape]. */
  latents: Float32Array
  labels: BigInt64Array
}

interface Options {
  batch: number
  seed: number
  /** Takes the latents of mirrored images for half of the rows. */
  flip: boolean
  statistics: LatentStatistics | null
  startStep: number
}

/**
 * Latents for training, without end: a new order across all shards every epoch; the last batch of an epoch reaches into the next. Row i
 * of step s is a function of (shards, batch, seed, s, i). Shards with moments give a new draw of the posterior each time.
 */
export function latentBatches(
  shards: LatentShards,
  { batch, seed, flip, statistics, startStep }: Options
): AsyncGenerator<LatentBatch, void, undefined> {
  const { uniform, normal } = addon()
  const indexAt = sampleOrder(uniform, seed, shards.count)
  const size = shards.sampleShape.reduce((product, length) => product * length, 1)
  const mirrors = flip && shards.flips
  // The network's label of no class: unlabelled samples train the prediction without one.
  const unlabelled = Math.max(1, shards.classCount)

  return prefetch(startStep, Infinity, { prefetch: 2, concurrency: 1 }, async (step) => {
    const indices = Array.from({ length: batch }, (_, row) => indexAt(step * batch + row))
    const flips = mirrors ? Array.from(uniform(seed, 'flip', step, 0, batch, 1), (draw) => draw < 0.5) : false
    const { latents, logvar, labels } = await shards.rows(indices, { flip: flips })
    if (logvar) {
      const noise = normal(seed, 'posterior', step, 0, batch, size)
      samplePosterior(latents, logvar, noise)
    }
    return {
      latents: statistics ? statistics.normalise(latents) : latents,
      labels: BigInt64Array.from(labels, (label) => BigInt(label < 0 ? unlabelled : label))
    }
  })
}
