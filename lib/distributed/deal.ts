/** Work in batches that the ranks of a job share. */

import { deserialize, serialize } from 'node:v8'
import type { RankGroup } from './rank-group.js'

/** Batch b belongs to rank b modulo `ranks`. */
export interface Deal {
  rank: number
  ranks: number
}

/** All batches are this process's. */
export const wholeDeal: Deal = { rank: 0, ranks: 1 }

export const dealOf = (group: RankGroup | null): Deal =>
  group ? { rank: group.ranks.rank, ranks: group.ranks.worldSize } : wholeDeal

/** The numbers of a rank's batches, of `count` in all. */
export function* ownBatches({ rank, ranks }: Deal, count: number): Generator<number, void, undefined> {
  for (let number = rank; number < count; number += ranks) yield number
}

/**
 * Computes each batch on the rank that it belongs to, and yields the results of all ranks on rank 0 in the order of the batches, which is what
 * one process alone would do. The other ranks get none.
 * @param own - this rank's batches, in order and without gaps
 * @param compute - makes what is sent, of plain values and typed arrays; null: nothing is yielded
 */
export async function* computeByRanks<Batch, Result>(
  group: RankGroup | null,
  own: AsyncIterable<Batch>,
  compute: (batch: Batch) => Promise<Result | null>
): AsyncGenerator<Result, void, undefined> {
  const batches = own[Symbol.asyncIterator]()
  try {
    while (true) {
      const { value, done } = await batches.next()
      if (!group && done) return
      const result = done ? null : await compute(value)
      // A round in which no rank has a batch is the last one.
      const results = group ? await gatherResults(group, done ? new Uint8Array() : serialize(result)) : [result]
      if (!results) return
      for (const one of results) if (one !== null) yield one as Result
    }
  } finally {
    await batches.return?.()
  }
}

async function gatherResults(group: RankGroup, message: Uint8Array): Promise<unknown[] | null> {
  const messages = await group.gather(message)
  return messages?.filter(({ length }) => length > 0).map((bytes) => deserialize(bytes)) ?? null
}
