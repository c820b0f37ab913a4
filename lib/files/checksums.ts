/** Checksums of files, kept in a JSON file beside them, which holds its own as well. */

import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { MactokError } from '../errors.js'

/** Of a file, in hexadecimal. */
export interface Checksum {
  /** What other programs compute as well. */
  sha256: string
  /** Compared instead where it is known, because that takes a fraction of the time. */
  crc32c?: string
}

/** What a file that is loaded is compared with. */
export interface RecordedChecksum {
  crc32c: string
  /** The file that it comes from. */
  recorded: string
}

/** By the file's name. */
export type Checksums = Record<string, Checksum>

const digest = (content: object): string => createHash('sha256').update(JSON.stringify(content)).digest('hex')

/**
 * Adds checksums to the content of a JSON file, as `sha256` and `crc32c`.
 * @param name - the JSON file's
 * @param files - the checksums of the files beside it
 */
export function seal(name: string, content: object, files: Checksums): object {
  const sha256: Record<string, string> = {}
  const crc32c: Record<string, string> = {}
  for (const [file, checksum] of Object.entries(files)) {
    sha256[file] = checksum.sha256
    if (checksum.crc32c !== undefined) crc32c[file] = checksum.crc32c
  }
  const complete = Object.keys(crc32c).length > 0 ? { ...content, crc32c } : content
  return { ...complete, sha256: { ...sha256, [name]: digest({ ...complete, sha256 }) } }
}

/**
 * Checks a JSON file's own checksum.
 * @returns the checksums of the files beside it; none where another version or program wrote it
 * @throws {MactokError} `ERR_FORMAT` when its content is not what was written
 */
export function checkSeal(file: string, content: Record<string, unknown>): Checksums {
  if (content.sha256 === undefined) return {}
  const { [basename(file)]: own, ...files } = { ...(content.sha256 as Record<string, string>) }
  if (own !== digest({ ...content, sha256: files })) throw damaged(file, file)
  const fast: Record<string, string | undefined> = Object(content.crc32c)
  return Object.fromEntries(
    Object.entries(files).map(([name, sha256]) => {
      const crc32c = fast[name]
      return [name, crc32c === undefined ? { sha256 } : { sha256, crc32c }]
    })
  )
}

/** Checks a JSON file's own checksum as `checkSeal` does, and separates its content from the checksums. */
export function unseal(
  file: string,
  content: Record<string, unknown>
): { content: Record<string, unknown>; checksums: Checksums } {
  const checksums = checkSeal(file, content)
  const { sha256: _, crc32c: __, ...rest } = content
  return { content: rest, checksums }
}

/** @param recorded - the file that the checksum comes from */
export const damaged = (file: string, recorded: string): MactokError =>
  new MactokError(
    'ERR_FORMAT',
    `${file} is damaged: its checksum is not what ${recorded} says. Restore it; if you changed it yourself, remove "sha256" from ${recorded}`
  )
