/** What a folder holds besides its shards: the statistics, made from the shards' records. */

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { seal } from '../files/checksums.js'
import { readBytes } from '../files/read.js'
import { ifPresent } from '../files/stat.js'
import {
  type LatentPlan,
  type Manifest,
  manifestFile,
  type ShardRecord,
  statisticsFile,
  torchStatisticsFile
} from './manifest.js'
import { recordNames } from './records.js'
import { ChannelAccumulator } from './statistics.js'
import { torchFile } from './torch-file.js'

/** A shard that is missing or wrong, and why. */
export interface ShardProblem {
  file: string
  reason: string
}

/** What the statistics' files hold, given all shards' records in order. */
export function mergeStatistics(shards: readonly ShardRecord[], shape: LatentPlan['shape']) {
  const sums = new ChannelAccumulator(shape)
  for (const record of shards) sums.merge(record.sums)
  const statistics = sums.result()
  const tensor = (values: readonly number[]) => ({ shape: [1, 1, values.length], values: Float32Array.from(values) })
  return { statistics, torch: torchFile({ mean: tensor(statistics.mean), std: tensor(statistics.std) }) }
}

/** What is wrong with a folder besides its shards. */
export async function checkSummary(folder: string, plan: LatentPlan, manifest: Manifest): Promise<ShardProblem[]> {
  if (!manifest.complete || (await recordNames(folder)).length > 0) {
    return [{ file: manifestFile, reason: 'it does not have all shards yet' }]
  }
  const problems: ShardProblem[] = []
  const { statistics, torch } = mergeStatistics(manifest.shards, plan.shape)
  const sealed = `${JSON.stringify(seal(statisticsFile, statistics, {}), null, 2)}\n`
  const expected = { [statisticsFile]: sealed, [torchStatisticsFile]: torch }
  for (const [file, content] of Object.entries(expected)) {
    const stored = await ifPresent(readBytes(path.join(folder, file)))
    if (!stored?.equals(Buffer.from(content))) {
      problems.push({ file, reason: stored ? "it does not have the shards' statistics" : 'it is missing' })
    }
  }
  const known = new Set(manifest.shards.map(({ file }) => file))
  for (const file of await readdir(folder)) {
    if (file.endsWith('.safetensors') && !file.startsWith('.') && !known.has(file)) {
      problems.push({ file, reason: 'it is no shard of this folder' })
    }
  }
  return problems
}
