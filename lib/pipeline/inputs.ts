import { createHash } from 'node:crypto'
import type { ImageSet } from '../data/image-set.js'
import { hashStamps } from '../data/stamps.js'
import type { ShardRecord } from '../latents/manifest.js'

/**
 * The record of a shard whose images are those that were encoded: their files have the sizes and times recorded, or,
 * where those differ because the files were copied, the contents. A shard that skipped images is only current in the
 * first case. Otherwise null.
 */
export async function checkInputs(set: ImageSet, record: ShardRecord, settings: string): Promise<ShardRecord | null> {
  const inputs = await hashStamps(set, record, settings)
  if (inputs !== undefined && inputs === record.inputs) return record
  const { hashes = [], skipped, first, end } = record
  if (skipped.length > 0 || hashes.length !== end - first) return null
  for (let index = first; index < end; index++) {
    const bytes = await set.read(index).catch(() => null)
    if (!bytes || createHash('sha256').update(bytes).digest('hex') !== hashes[index - first]) return null
  }
  return inputs === undefined ? record : { ...record, inputs }
}
