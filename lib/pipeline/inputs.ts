import { createHash } from 'node:crypto'
import type { ImageSet } from '../data/image-set.js'
import { hashStamps } from '../data/stamps.js'
import type { ShardRecord } from '../latents/manifest.js'

/** How images are compared with those that were encoded. */
export interface InputCheck {
  /** Whatever else decides what is made of the files. */
  settings: string
  /** Compares the contents of all files, whatever their sizes and times say. */
  contents?: boolean
}

/**
 * The record of a shard whose images are those that were encoded: their files have the sizes and times recorded, or,
 * where those differ because the files were copied, the contents. A shard that skipped images is only current in the
 * first case. Otherwise null.
 */
export async function checkInputs(
  set: ImageSet,
  record: ShardRecord,
  { settings, contents = false }: InputCheck
): Promise<ShardRecord | null> {
  const inputs = await hashStamps(set, record, settings)
  const isUntouched = inputs !== undefined && inputs === record.inputs
  if (isUntouched && !contents) return record
  const { hashes = [], skipped, first, end } = record
  if (skipped.length > 0 && !isUntouched) return null
  const without = new Set(skipped.map(({ name }) => name))
  const kept = Array.from({ length: end - first }, (_, i) => first + i).filter(
    (index) => !without.has(set.sample(index).name)
  )
  if (hashes.length !== kept.length) return null
  for (const [row, index] of kept.entries()) {
    const bytes = await set.read(index).catch(() => null)
    if (!bytes || createHash('sha256').update(bytes).digest('hex') !== hashes[row]) return null
  }
  return inputs === undefined ? record : { ...record, inputs }
}
