/**
 * Records of shards that are not in the manifest yet: a file for each, beside the shard, so that several processes can
 * write one folder at once.
 */

import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isRecord } from '../checks.js'
import { writeJson } from '../files/atomic.js'
import { checkSeal, seal } from '../files/checksums.js'
import { parseJson, readText } from '../files/read.js'
import { type PlanSummary, type ShardRecord, shardName } from './manifest.js'

const suffix = '.json'

/** Identifies a plan. */
export const digestPlan = (plan: PlanSummary): string => createHash('sha256').update(JSON.stringify(plan)).digest('hex')

export interface ReadRecord {
  /** null for a shard that must be written again */
  record: ShardRecord | null
  /** Its file and content, if it is not from the manifest. */
  file?: string
  text?: string
}

/** Writes a shard's record; null marks a shard of the manifest as missing. */
export function writeRecord(folder: string, plan: string, index: number, record: ShardRecord | null): Promise<void> {
  const name = shardName(index) + suffix
  return writeJson(path.join(folder, name), seal(name, { plan, record }, {}))
}

/** The shards that have records. */
export const recordNames = async (folder: string): Promise<string[]> =>
  (await readdir(folder))
    .filter((file) => /^latents_rank00_shard\d+\.safetensors\.json$/.test(file))
    .map((file) => file.slice(0, -suffix.length))

/** Reads the records of shards, by index; those of another plan and damaged ones are null. */
export async function readRecords(folder: string, plan: string): Promise<Map<number, ReadRecord>> {
  const records = new Map<number, ReadRecord>()
  for (const name of await recordNames(folder)) {
    const file = path.join(folder, name + suffix)
    // Another process may have merged and removed it meanwhile.
    const text = await readText(file)
    const index = Number(/\d+(?=\.safetensors$)/.exec(name)?.[0])
    if (text !== null) records.set(index, { record: parseRecord(text, file, plan), file, text })
  }
  return records
}

function parseRecord(text: string, file: string, plan: string): ShardRecord | null {
  try {
    const content = parseJson(text, file)
    if (!isRecord(content) || content.plan !== plan || !isRecord(content.record)) return null
    checkSeal(file, content)
    return content.record as unknown as ShardRecord
  } catch {
    return null
  }
}

/** Removes records that the manifest has now, unless they were written again since. */
export async function removeRecords(read: Iterable<ReadRecord>): Promise<void> {
  for (const { file, text } of read) {
    if (file !== undefined && (await readText(file)) === text) await rm(file, { force: true })
  }
}
