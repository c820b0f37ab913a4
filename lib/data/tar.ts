import type { FileHandle } from 'node:fs/promises'
import { MactokError } from '../errors.js'

/** One file in a tar. */
export interface TarEntry {
  name: string
  /** Where its bytes begin in the tar. */
  offset: number
  size: number
  /** The content, if `keep` selects the file. */
  text?: string
}

const blockSize = 512
/** Bytes per read: enough for many small images, or one header of a large one. */
const windowSize = 64 * 1024

/**
 * Lists the files of an uncompressed tar (ustar, GNU or pax) in their order, reading only the headers and the contents
 * of the (small) files that `keep` selects.
 * @throws {MactokError} ERR_FORMAT when the file is not a tar or ends within an entry
 */
export async function indexTar(file: FileHandle, path: string, keep: (name: string) => boolean): Promise<TarEntry[]> {
  const { size: fileSize } = await file.stat()
  const read = windowedReader(file)
  const text = async (offset: number, size: number) => (await read(offset, size)).toString('utf8')
  const entries: TarEntry[] = []
  let longName: string | null = null
  let pax: Record<string, string> = {}
  for (let position = 0; position + blockSize <= fileSize; ) {
    const header = await read(position, blockSize)
    if (header.every((byte) => byte === 0)) break
    if (!hasValidChecksum(header)) {
      const what = position === 0 ? 'is not an uncompressed tar' : `has a damaged tar header at byte ${position}`
      throw new MactokError('ERR_FORMAT', `${path} ${what}`)
    }
    const type = String.fromCharCode(header[156] as number)
    const offset = position + blockSize
    const size = Number(pax.size ?? parseNumber(header.subarray(124, 136)))
    if (offset + size > fileSize) {
      throw new MactokError('ERR_FORMAT', `${path} ends at byte ${fileSize}, inside ${nameOf(header)}`)
    }
    if (type === 'L') longName = (await text(offset, size)).replace(/\0.*$/s, '')
    else if (type === 'x') pax = parsePax(await read(offset, size))
    else if (type !== 'g' && type !== 'K') {
      if (type === '0' || type === '\0' || type === '7') {
        const name = (pax.path ?? longName ?? nameOf(header)).replace(/^\.\//, '')
        entries.push(keep(name) ? { name, offset, size, text: await text(offset, size) } : { name, offset, size })
      }
      longName = null
      pax = {}
    }
    position = offset + Math.ceil(size / blockSize) * blockSize
  }
  return entries
}

/** Reads [offset, offset + size); one large read serves the small ones that follow. */
function windowedReader(file: FileHandle) {
  let bytes = Buffer.alloc(0)
  let start = 0
  return async (offset: number, size: number): Promise<Buffer> => {
    if (offset < start || offset + size > start + bytes.length) {
      const buffer = Buffer.allocUnsafe(Math.max(windowSize, size))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
      bytes = buffer.subarray(0, bytesRead)
      start = offset
    }
    return bytes.subarray(offset - start, offset - start + size)
  }
}

const parseString = (field: Buffer) => field.toString('utf8').replace(/\0.*$/s, '')

/** Parses octal digits, or GNU's big-endian binary where the first bit is set. */
function parseNumber(field: Buffer): number {
  if ((field[0] as number) & 0x80) return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0)
  return Number.parseInt(parseString(field).trim() || '0', 8)
}

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
    const record = bytes.toString('utf8', at, at + length - 1)
    const [, key, value] = /^\d+ ([^=]*)=(.*)$/s.exec(record) ?? []
    if (key !== undefined && value !== undefined) records[key] = value
    at += length
  }
  return records
}
