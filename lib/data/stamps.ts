import { createHash } from 'node:crypto'
import type { ImageSet } from './image-set.js'

/** Files whose state is requested at once. */
const chunk = 256

/**
 * Identifies the files of the images [first, end) by their sizes and times; undefined for a set that does not know them.
 * @param settings - whatever else decides what is made of the files
 */
export async function hashStamps(
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
