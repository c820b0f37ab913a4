import { prefetch } from '../../data/prefetch.js'
import { sampleOrder } from '../../data/shuffle.js'
import type { LatentShards, LatentStatistics } from '../../latents/index.js'
import { samplePosterior } from '../../latents/posterior.js'
import { addon } from '../../native/load.js'

export interface LatentBatch {
  /** Normalised, row-major [B, …sampleShape], B the number of `rows`. */
  latents: Float32Array
  labels: BigInt64Array
}

/** Draws of `size` values for each row, ascending, from a function that draws for consecutive ones. */
function drawRows(
  rows: readonly number[],
  size: number,
  draw: (first: number, count: number) => Float32Array
): Float32Array {
  const result = new Float32Array(rows.length * size)
  for (let i = 0, end = 0; i < rows.length; i = end) {
    do end++
    while (rows[end] === (rows[end - 1] as number) + 1)
    result.set(draw(rows[i] as number, end - i), i * size)
  }
  return result
}

interface Options {
  batch: number
  /** The rows of each batch to make, as one of several processes; default: all. */
  rows?: readonly number[]
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
  { batch, rows = Array.from({ length: batch }, (_, row) => row), seed, flip, statistics, startStep }: Options
): AsyncGenerator<LatentBatch, void, undefined> {
  const { uniform, normal } = addon()
  const indexAt = sampleOrder(uniform, seed, shards.count)
  const size = shards.sampleShape.reduce((product, length) => product * length, 1)
  const mirrors = flip && shards.flips
  // The network's label of no class: unlabelled samples train the prediction without one.
  const unlabelled = Math.max(1, shards.classCount)

  return prefetch(startStep, Infinity, { prefetch: 2, concurrency: 1 }, async (step) => {
    const indices = rows.map((row) => indexAt(step * batch + row))
    const coins = mirrors ? uniform(seed, 'flip', step, 0, batch, 1) : null
    const flips = coins ? rows.map((row) => (coins[row] as number) < 0.5) : false
    const { latents, logvar, labels } = await shards.rows(indices, { flip: flips })
    if (logvar) {
      samplePosterior(
        latents,
        logvar,
        drawRows(rows, size, (first, count) => normal(seed, 'posterior', step, first, count, size))
      )
    }
    return {
      latents: statistics ? statistics.normalise(latents) : latents,
      labels: BigInt64Array.from(labels, (label) => BigInt(label < 0 ? unlabelled : label))
    }
  })
}
