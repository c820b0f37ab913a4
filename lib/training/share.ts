import { aloneRanks, type Ranks } from '../distributed/ranks.js'
import { outOfRange } from '../errors.js'

/** The part of every batch that one rank computes. */
export interface BatchShare {
  /** The number of its rows. */
  batch: number
  /** Rows at a time; null: all at once. */
  microBatch: number | null
  /** Its rows in the batch of all ranks, ascending. */
  rows: number[]
}

/**
 * An equal part of each micro-batch, so that what is computed over a micro-batch is the same for any number of ranks.
 * @throws {RangeError} where the ranks do not divide it
 */
export function shareOf(
  { batch, microBatch }: { batch: number; microBatch: number | null },
  { rank, worldSize }: Ranks = aloneRanks
): BatchShare {
  const whole = microBatch ?? batch
  if (whole % worldSize !== 0) {
    throw outOfRange(
      microBatch === null ? 'batch' : 'microBatch',
      `a multiple of ${worldSize}, the number of ranks`,
      whole
    )
  }
  const part = whole / worldSize
  const rows: number[] = []
  for (let first = rank * part; first < batch; first += whole) {
    for (let row = first; row < first + part; row++) rows.push(row)
  }
  return { batch: rows.length, microBatch: microBatch === null ? null : part, rows }
}
