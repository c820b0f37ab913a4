/**
 * What is overwritten: a file that the caller names, and what a run keeps in its own folder. Files whose names MacTok
 * chooses, numbered or by default, are not, unless the caller says so.
 */

import { MactokError } from '../errors.js'
import { exists } from './stat.js'

/** Paths that are looked up at once. */
const chunk = 256

/** Those of the paths that exist. */
export async function findExisting(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (let at = 0; at < paths.length; at += chunk) {
    const part = paths.slice(at, at + chunk)
    const isThere = await Promise.all(part.map(exists))
    found.push(...part.filter((_, i) => isThere[i]))
  }
  return found
}

/**
 * Refuses to overwrite files, before anything is written.
 * @param remedy - what to do instead
 * @throws {MactokError} `ERR_FORMAT` naming the first that exists
 */
export async function refuseExisting(
  paths: readonly string[],
  remedy = 'choose another folder, or set force to overwrite what is there'
): Promise<void> {
  const existing = await findExisting(paths)
  const [first] = existing
  if (first === undefined) return
  const others = existing.length === 1 ? '' : `, and so do ${existing.length - 1} others`
  throw new MactokError('ERR_FORMAT', `${first} exists${others}: ${remedy}`)
}
