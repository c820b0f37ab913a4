/** Compares shards with their manifest's checksums, once for each state of a file. */

import { createHash } from 'node:crypto'
import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { writeJson } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
import { readJson } from '../files/read.js'
import { checkFile } from '../native/checksums.js'
import { type Manifest, manifestFile } from './manifest.js'

/** Changes whenever a file is written or copied. */
async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeNs } = await stat(file, { bigint: true })
  return `${ino} ${size} ${mtimeNs}`
}

/** Where a folder's stamps are remembered: not in the folder, because a copy of it must be read again. */
async function memoryOf(folder: string): Promise<string> {
  const key = createHash('sha256').update(await realpath(folder))
  return path.join(cacheFolder(), 'verified', `${key.digest('hex').slice(0, 32)}.json`)
}

async function recall(file: string): Promise<Record<string, unknown>> {
  try {
    return await readJson(file)
  } catch {
    return {}
  }
}

/**
 * Compares a folder's shards with the checksums in its manifest, except those that passed before and are unchanged by size and time.
 * @throws {MactokError} `ERR_FORMAT` naming the first shard that differs
 */
export async function verifyShards(folder: string, { shards }: Manifest): Promise<void> {
  const memory = await memoryOf(folder)
  const known = await recall(memory)
  const stamps: Record<string, string> = {}
  for (const record of shards) {
    if (typeof record.sha256 !== 'string') continue
    const file = path.join(folder, path.basename(record.file))
    const stamp = `${await stampOf(file)} ${record.sha256}`
    if (known[record.file] !== stamp) await checkFile(file, { sha256: record.sha256 }, path.join(folder, manifestFile))
    stamps[record.file] = stamp
  }
  if (Object.entries(stamps).every(([file, stamp]) => known[file] === stamp)) return
  // Without a cache they are read again next time.
  await writeJson(memory, stamps).catch(() => {})
}
