import { MactokError } from '../errors.js'
import { isContained } from '../files/contained.js'
import type { Bytes } from './bytes.js'
import { printBytes } from './formats.js'
import type { Ignored } from './image-set.js'

/** One file in a tar. */
export interface TarEntry {
  name: string
  /** Where its bytes begin in the tar. */
  offset: number
  size: number
  /** The content, if `keep` selects the file. */
  text?: string
}

export interface TarIndex {
  entries: TarEntry[]
  /** Members that are no files of their own, or whose names lead out of a folder. */
  ignored: Ignored[]
}

const blockSize = 512
/** Bytes per read: enough for many small images, or one header of a large one. */
const windowSize = 64 * 1024
/** Bytes of a header with an extended one before it. */
const headerBytes = 4 * blockSize
/** The most bytes of a file that is kept as text, and of an extended header. */
const maxTextBytes = 1024 ** 2

/** Why members of these types are ignored; folders ('5') and unknown types have nothing to lose. */
const ignoredTypes: Record<string, string> = {
  '1': 'a hard link in a tar',
  '2': 'a symbolic link in a tar',
  S: 'a sparse file in a tar'
}

/**
 * Lists the files of an uncompressed tar (ustar, GNU or pax) in their order, reading only the headers and the contents
 * of the (small) files that `keep` selects. Archives that follow each other in one file are read as one.
 * @throws {MactokError} ERR_FORMAT when the file is not a tar, gives an invalid size, or ends before its end mark
 */
export async function indexTar(file: Bytes, keep: (name: string) => boolean): Promise<TarIndex> {
  const { size: fileSize, name: path } = file
  const read = windowedReader(file)
  const fail = (problem: string) => new MactokError('ERR_FORMAT', `${path} ${problem}`)
  const readSmall = (offset: number, size: number, name: string) => {
    if (size > maxTextBytes) throw fail(`has ${size} bytes of text in ${name}, more than ${maxTextBytes}`)
    return read(offset, size)
  }
  const entries: TarEntry[] = []
  const ignored: Ignored[] = []
  let longName: string | null = null
  let pax: Record<string, string> = {}
  let isEnded = false
  let position = 0
  while (position + blockSize <= fileSize) {
    const header = await read(position, blockSize)
    if (header.every((byte) => byte === 0)) {
      isEnded = true
      position += blockSize
      continue
    }
    if (!hasValidChecksum(header)) {
      if (isEnded) {
        ignored.push({ name: path, reason: `${fileSize - position} bytes after the end of the archive` })
        return { entries, ignored }
      }
      throw fail(position === 0 ? 'is not an uncompressed tar' : `has a damaged tar header at byte ${position}`)
    }
    isEnded = false
    const type = String.fromCharCode(header[156] as number)
    const offset = position + blockSize
    const fullName: string = pax.path ?? longName ?? nameOf(header)
    const size = pax.size === undefined ? parseNumber(header.subarray(124, 136)) : parseDigits(pax.size, 10)
    if (size === null) throw fail(`has an invalid size for ${fullName}`)
    // The size of a link, device or folder says nothing about the archive: no content follows.
    const stored = '123456'.includes(type) ? 0 : size
    if (offset + stored > fileSize) throw fail(`ends at byte ${fileSize}, inside ${fullName}`)
    if (type === 'L') longName = parseString(await readSmall(offset, size, fullName))
    else if (type === 'x') pax = parsePax(await readSmall(offset, size, fullName))
    else if (type !== 'g' && type !== 'K') {
      const isSparse = Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))
      const reason = isSparse ? ignoredTypes.S : ignoredTypes[type]
      if (reason) ignored.push({ name: fullName, reason })
      else if (type === '0' || type === '\0' || type === '7') {
        const name = normalise(fullName)
        if (!isContained(name)) ignored.push({ name: fullName, reason: 'its name leads out of a folder' })
        else if (keep(name)) {
          entries.push({ name, offset, size, text: (await readSmall(offset, size, name)).toString('utf8') })
        } else entries.push({ name, offset, size })
      }
      longName = null
      pax = {}
    }
    position = offset + Math.ceil(stored / blockSize) * blockSize
  }
  if (!isEnded) {
    throw fail(position === 0 ? 'is not an uncompressed tar' : 'ends without the mark of its end: it was cut short')
  }
  return { entries, ignored }
}

/**
 * Reads [offset, offset + size); one large read serves the small ones that follow. After a large file, whose content
 * lies between, only what a header needs is read.
 */
function windowedReader(file: Bytes) {
  let bytes: Buffer = Buffer.alloc(0)
  let start = 0
  return async (offset: number, size: number): Promise<Buffer> => {
    if (offset < start || offset + size > start + bytes.length) {
      const isFar = offset > start + windowSize
      const length = Math.max(isFar ? headerBytes : windowSize, size)
      bytes = await file.read(offset, Math.min(length, file.size - offset))
      start = offset
    }
    return bytes.subarray(offset - start, offset - start + size)
  }
}

const parseString = (field: Buffer) => printBytes(field).replace(/\0.*$/s, '')

/** Parses octal digits, or GNU's big-endian binary where the first bit is set; null for anything else. */
function parseNumber(field: Buffer): number | null {
  const first = field[0] as number
  if (!(first & 0x80)) return parseDigits(parseString(field).trim() || '0', 8)
  // A second set bit is the sign.
  const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, first & 0x7f)
  return first & 0x40 || !Number.isSafeInteger(value) ? null : value
}

/** Parses a natural number; null for anything else, and for one too large to be exact. */
function parseDigits(text: string, base: 8 | 10): number | null {
  if (!(base === 8 ? /^[0-7]+$/ : /^\d+$/).test(text)) return null
  const value = Number.parseInt(text, base)
  return Number.isSafeInteger(value) ? value : null
}

/** Drops what changes nothing in a path: `./` and repeated slashes. */
const normalise = (name: string): string => name.replace(/^(?:\.\/+)+/, '').replace(/\/(?:\.?\/)+/g, '/')

function nameOf(header: Buffer): string {
  const name = parseString(header.subarray(0, 100))
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? parseString(header.subarray(345, 500)) : ''
  return prefix ? `${prefix}/${name}` : name
}

/** The checksum is the sum of the header's bytes, with its own field counted as spaces. */
function hasValidChecksum(header: Buffer): boolean {
  let sum = 8 * 32
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte
  return sum === parseNumber(header.subarray(148, 156))
}

/** Parses records `<length> <key>=<value>\n`; the length is that of the whole record in bytes. */
function parsePax(bytes: Buffer): Record<string, string> {
  const records: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.toString('latin1', at, at + 20), 10)
    if (!(length > 0)) break
    const record = printBytes(bytes.subarray(at, at + length - 1))
    const [, key, value] = /^\d+ ([^=]*)=(.*)$/s.exec(record) ?? []
    if (key !== undefined && value !== undefined) records[key] = value
    at += length
  }
  return records
}
