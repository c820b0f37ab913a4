/** Checksums (SHA-256) of files, kept in a JSON file beside them, which holds its own as well. */

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { MactokError } from '../errors.js'
import { sha256 } from './read.js'

/** SHA-256 in hexadecimal, by the file's name. */
export type Checksums = Record<string, string>

const digest = (content: object): string => createHash('sha256').update(JSON.stringify(content)).digest('hex')

/**
 * Adds checksums to the content of a JSON file, as `sha256`.
 * @param name - the JSON file's
 * @param files - the checksums of the files beside it
 */
export const seal = (name: string, content: object, files: Checksums): object => ({
  ...content,
  sha256: { ...files, [name]: digest({ ...content, sha256: files }) }
})

/**
 * Checks a JSON file's own checksum.
 * @returns the checksums of the files beside it; none where another version or program wrote it
 * @throws {MactokError} `ERR_FORMAT` when its content is not what was written
 */
export function checkSeal(file: string, content: Record<string, unknown>): Checksums {
  if (content.sha256 === undefined) return {}
  const { [basename(file)]: own, ...files } = { ...(content.sha256 as Checksums) }
  if (own !== digest({ ...content, sha256: files })) throw damaged(file, file)
  return files
}

/** Checks a JSON file's own checksum as `checkSeal` does; returns its content without checksums. */
export function unseal(file: string, content: Record<string, unknown>): Record<string, unknown> {
  checkSeal(file, content)
  const { sha256: _, ...rest } = content
  return rest
}

/**
 * Checks a file's checksum, where it is known.
 * @param recorded - the file that the checksum comes from
 * @throws {MactokError} `ERR_FORMAT` when it differs
 */
export async function checkFile(file: string, checksum: string | undefined, recorded: string): Promise<void> {
  if (checksum !== undefined && (await sha256(file)) !== checksum) throw damaged(file, recorded)
}

const damaged = (file: string, recorded: string): MactokError =>
  new MactokError(
    'ERR_FORMAT',
    `${file} is damaged: its checksum is not what ${recorded} says. Restore it; if you changed it yourself, remove "sha256" from ${recorded}`
  )
