import { createHash } from 'node:crypto'
import type { ImageSet } from '../data/image-set.js'
import type { ShardRecord } from '../latents/manifest.js'

/** Files whose state is requested at once. */
const chunk = 256

/**
 * Identifies the files of the images [first, end) by their sizes and times; undefined for a set that does not know them.
 * @param settings - whatever else decides which images are readable
 */
export async function inputsOf(
  set: ImageSet,
  { first, end }: { first: number; end: number },
  settings: string
): Promise<string | undefined> {
  const { stamp } = set
  if (!stamp) return undefined
  const hash = createHash('sha256').update(settings)
  const stampOrError = (index: number) => stamp.call(set, index).catch(({ code }: NodeJS.ErrnoException) => code)
  for (let at = first; at < end; at += chunk) {
    const indices = Array.from({ length: Math.min(chunk, end - at) }, (_, i) => at + i)
    for (const state of await Promise.all(indices.map(stampOrError))) hash.update(`\n${state}`)
  }
  return hash.digest('hex')
}

/**
 * The record of a shard whose images are those that were encoded: their files have the sizes and times recorded, or,
 * where those differ because the files were copied, the contents. A shard that skipped images is only current in the
 * first case. Otherwise null.
 */
export async function checkInputs(set: ImageSet, record: ShardRecord, settings: string): Promise<ShardRecord | null> {
  const inputs = await inputsOf(set, record, settings)
  if (inputs !== undefined && inputs === record.inputs) return record
  const { hashes = [], skipped, first, end } = record
  if (skipped.length > 0 || hashes.length !== end - first) return null
  for (let index = first; index < end; index++) {
    const bytes = await set.read(index).catch(() => null)
    if (!bytes || createHash('sha256').update(bytes).digest('hex') !== hashes[index - first]) return null
  }
  return inputs === undefined ? record : { ...record, inputs }
}
