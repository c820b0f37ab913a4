/** Computes and compares checksums of files; LibTorch is not loaded for that. */

import { type Checksum, damaged } from '../files/checksums.js'
import { sha256 } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import type { Bootstrap } from './find.js'
import { bootstrap } from './load.js'

const inHexadecimal = (crc: number): string => crc.toString(16).padStart(8, '0')

let found: Bootstrap | undefined
/** Kept, because it is searched for at each call. */
const loaded = (): Bootstrap => {
  found ??= bootstrap()
  return found
}

/** CRC-32C (Castagnoli) of bytes that follow those of which `before` is the checksum; ten times as fast as SHA-256. */
export const crc32c = (bytes: Uint8Array, before = 0): number => loaded().crc32c(bytes, before)

/** The CRC-32C of pieces of data. */
export class Crc32c {
  #value = 0

  update(piece: Uint8Array): void {
    this.#value = crc32c(piece, this.#value)
  }

  /** As `update`, with a piece whose checksum is known. */
  append(crc: number, byteLength: number): void {
    this.#value = loaded().joinCrc32c(this.#value, crc, byteLength)
  }

  digest(): string {
    return inHexadecimal(this.#value)
  }
}

/** The CRC-32C of a file, read on a thread of its own; undefined where there is no content. */
async function fileCrc32c(file: string): Promise<string | undefined> {
  return (await fileSize(file)) ? inHexadecimal(await loaded().fileCrc32c(file)) : undefined
}

/** Both checksums of a file. */
export async function checksum(file: string): Promise<Checksum> {
  const crc = await fileCrc32c(file)
  return { sha256: await sha256(file), ...(crc !== undefined && { crc32c: crc }) }
}

/**
 * Compares a file with its checksum, where it is known.
 * @param recorded - the file that the checksum comes from
 * @throws {MactokError} `ERR_FORMAT` when it differs
 */
export async function checkFile(file: string, expected: Checksum | undefined, recorded: string): Promise<void> {
  if (expected === undefined) return
  const isSame =
    expected.crc32c === undefined
      ? (await sha256(file)) === expected.sha256
      : (await fileCrc32c(file)) === expected.crc32c
  if (!isSame) throw damaged(file, recorded)
}
