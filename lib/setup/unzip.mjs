// Unpacks zip archives such as wheels: stored and deflated entries, zip64, in a stream.
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, normalize, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'

/** @typedef {{ name: string, method: number, packed: number, size: number, offset: number, mode: number }} Entry */

const END = 0x06054b50
const END64_LOCATOR = 0x07064b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50

/**
 * Unpacks the entries that `keep` accepts into `folder`.
 * @param {string} archive
 * @param {string} folder
 * @param {(name: string) => boolean} [keep]
 */
export async function unzip(archive, folder, keep = () => true) {
  const file = await open(archive)
  try {
    const entries = (await readDirectory(file)).filter(({ name }) => !name.endsWith('/') && keep(name))
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (!normalize(path).startsWith(normalize(folder) + sep))
        throw new Error(`${archive}: ${entry.name} leaves the folder`)
      mkdirSync(dirname(path), { recursive: true })
      await extract(file, archive, entry, path)
    }
  } finally {
    await file.close()
  }
}

/**
 * @param {import('node:fs/promises').FileHandle} file
 * @param {string} archive
 * @param {Entry} entry
 * @param {string} path
 */
async function extract(file, archive, entry, path) {
  const header = await read(file, entry.offset, 30)
  if (header.readUInt32LE(0) !== LOCAL) throw new Error(`${archive}: no entry at ${entry.offset}`)
  if (entry.method !== 0 && entry.method !== 8) throw new Error(`${archive}: ${entry.name} has method ${entry.method}`)
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  if (entry.packed === 0) return writeFileSync(path, '', { mode: entry.mode })
  const output = createWriteStream(path, { mode: entry.mode })
  const input = createReadStream(archive, { start, end: start + entry.packed - 1, highWaterMark: 1 << 20 })
  await (entry.method === 8
    ? pipeline(input, createInflateRaw({ chunkSize: 1 << 18 }), output)
    : pipeline(input, output))
  if (output.bytesWritten !== entry.size)
    throw new Error(`${archive}: ${entry.name} has ${output.bytesWritten} bytes instead of ${entry.size}`)
}

/**
 * @param {import('node:fs/promises').FileHandle} file
 * @returns {Promise<Entry[]>}
 */
async function readDirectory(file) {
  const { size } = await file.stat()
  const tail = await read(file, Math.max(0, size - 65_557), Math.min(size, 65_557))
  let end = tail.length - 22
  while (end >= 0 && tail.readUInt32LE(end) !== END) end--
  if (end < 0) throw new Error('This is no zip archive')

  let count = tail.readUInt16LE(end + 10)
  let length = tail.readUInt32LE(end + 12)
  let offset = tail.readUInt32LE(end + 16)
  if (end >= 20 && tail.readUInt32LE(end - 20) === END64_LOCATOR) {
    const end64 = await read(file, Number(tail.readBigUInt64LE(end - 12)), 56)
    count = Number(end64.readBigUInt64LE(32))
    length = Number(end64.readBigUInt64LE(40))
    offset = Number(end64.readBigUInt64LE(48))
  }

  const directory = await read(file, offset, length)
  const entries = []
  for (let at = 0, i = 0; i < count; i++) {
    if (directory.readUInt32LE(at) !== CENTRAL) throw new Error('The zip directory is damaged')
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28)
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30)
    const entry = {
      name: directory.toString('utf8', at + 46, nameEnd),
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
      mode: (directory.readUInt32LE(at + 38) >>> 16) & 0o777 || 0o644
    }
    widen(entry, directory.subarray(nameEnd, extraEnd))
    entries.push(entry)
    at = extraEnd + directory.readUInt16LE(at + 32)
  }
  return entries
}

/**
 * Takes from zip64's extra field what did not fit into 32 bits.
 * @param {Entry} entry
 * @param {Buffer} extra
 */
function widen(entry, extra) {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    let value = at + 4
    for (const field of /** @type {const} */ (['size', 'packed', 'offset'])) {
      if (entry[field] !== 0xffffffff) continue
      entry[field] = Number(extra.readBigUInt64LE(value))
      value += 8
    }
  }
}

/**
 * @param {import('node:fs/promises').FileHandle} file
 * @param {number} position
 * @param {number} length
 */
async function read(file, position, length) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead !== length) throw new Error('The zip archive is cut off')
  return buffer
}
