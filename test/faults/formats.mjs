/** The formats of fuzzed files: each is read into a tree that `mutate.mjs` edits, and written with right lengths and checksums. */

import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'
import { Raw } from './mutate.mjs'

/** @typedef {any} Tree */

const isRecord = (/** @type {unknown} */ value) =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !Buffer.isBuffer(value) &&
  !(value instanceof Raw)
const list = (/** @type {Tree} */ value) => (Array.isArray(value) ? value : [])
const record = (/** @type {Tree} */ value) => (isRecord(value) ? value : {})
const number = (/** @type {Tree} */ value, /** @type {number} */ automatic) =>
  typeof value === 'number' ? value : automatic

/** What an edit left, as bytes. @param {Tree} value @returns {Buffer} */
export function toBytes(value) {
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'string') return Buffer.from(value, 'latin1')
  return Array.isArray(value) ? Buffer.concat(value.map(toBytes)) : Buffer.alloc(0)
}

/** A little-endian integer; others wrap. @param {number} value @param {number} size */
function integer(value, size) {
  const bytes = Buffer.alloc(8)
  const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
  bytes.writeBigUInt64LE(BigInt.asUintN(64, whole))
  return bytes.subarray(0, size)
}

/** @param {Tree} value @returns {string} */
export function toJson(value) {
  if (value instanceof Raw) return value.text
  if (Array.isArray(value)) return `[${value.map(toJson)}]`
  if (isRecord(value)) {
    return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}:${toJson(each)}`)}}`
  }
  return JSON.stringify(value) ?? 'null'
}
export const writeJson = (/** @type {Tree} */ tree) => Buffer.from(toJson(tree))
export const writeLines = (/** @type {Tree} */ tree) =>
  Buffer.from(
    list(tree)
      .map((line) => (typeof line === 'string' ? line : toJson(line)))
      .join('\n')
  )

const sizes = new Map(
  Object.entries({ F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 })
)

/** @param {Buffer} bytes */
export function readSafetensors(bytes) {
  const end = 8 + Number(bytes.readBigUInt64LE())
  return { header: JSON.parse(bytes.toString('utf8', 8, end)), data: bytes.subarray(end), mend: true, length: null }
}

/** Where `mend` is true, offsets and data are those of the dtypes and shapes. @param {Tree} tree */
export function writeSafetensors(tree) {
  const { header, data, mend, length } = record(tree)
  let at = 0
  for (const [name, tensor] of mend === true && isRecord(header) ? Object.entries(header) : []) {
    if (name === '__metadata__' || !isRecord(tensor) || !Array.isArray(tensor.shape)) continue
    const needed = tensor.shape.reduce(
      (/** @type {number} */ product, /** @type {Tree} */ each) => product * number(each, 1),
      sizes.get(tensor.dtype) ?? 1
    )
    if (!Number.isSafeInteger(needed) || needed < 0 || needed > 100_000) continue
    tensor.data_offsets = [at, at + needed]
    at += needed
  }
  const json = writeJson(header)
  const body = toBytes(data)
  return Buffer.concat([
    integer(number(length, json.length), 8),
    json,
    mend === true ? Buffer.concat([body], at) : body
  ])
}

/** @param {Buffer} bytes */
export function readTar(bytes) {
  const entries = []
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const field = (/** @type {number} */ from, /** @type {number} */ length) =>
      bytes.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '')
    const size = Math.max(0, Number.parseInt(field(124, 12), 8) || 0)
    const [name, type, link, prefix] = [field(0, 100), field(156, 1), field(157, 100), field(345, 155)]
    const magic = bytes.toString('latin1', at + 257, at + 265)
    entries.push({
      name,
      type,
      link,
      magic,
      prefix,
      size: null,
      checksum: null,
      content: bytes.subarray(at + 512, at + 512 + size)
    })
    at += 512 + Math.ceil(size / 512) * 512
  }
  return { entries, end: Buffer.alloc(1024) }
}

/** @param {Tree} tree */
export function writeTar(tree) {
  const { entries, end } = record(tree)
  const parts = list(entries).map((each) => {
    const { name, type, link, magic, prefix, size, checksum, content } = record(each)
    const body = toBytes(content)
    const header = Buffer.alloc(512)
    const put = (/** @type {Tree} */ value, /** @type {number} */ at, /** @type {number} */ length) =>
      toBytes(typeof value === 'number' ? octal(value) : value).copy(header, at, 0, length)
    put(name, 0, 100)
    put('0000644', 100, 8)
    put(typeof size === 'string' ? size : octal(number(size, body.length)), 124, 12)
    put(' '.repeat(8), 148, 8)
    put(type, 156, 1)
    put(link, 157, 100)
    put(magic, 257, 8)
    put(prefix, 345, 155)
    const sum = header.reduce((total, byte) => total + byte, 0)
    put(`${octal(number(checksum, sum)).padStart(6, '0')}\0 `, 148, 8)
    return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)])
  })
  return Buffer.concat([...parts, toBytes(end)])
}
const octal = (/** @type {number} */ value) => Math.trunc(value).toString(8)

/** @param {Buffer} bytes @param {(name: string, content: Buffer) => Tree} [readContent] */
export function readZip(bytes, readContent = (_, content) => content) {
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const entries = []
  for (let left = bytes.readUInt16LE(end + 10), at = bytes.readUInt32LE(end + 16); left > 0; left--) {
    const [method, stored, nameLength, extra, comment] = [
      bytes.readUInt16LE(at + 10),
      bytes.readUInt32LE(at + 20),
      bytes.readUInt16LE(at + 28),
      bytes.readUInt16LE(at + 30),
      bytes.readUInt16LE(at + 32)
    ]
    const local = bytes.readUInt32LE(at + 42)
    const name = bytes.toString('latin1', at + 46, at + 46 + nameLength)
    const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
    const raw = bytes.subarray(from, from + stored)
    const content = readContent(name, method === 8 ? inflateRawSync(raw) : raw)
    entries.push({
      name,
      method,
      content,
      crc: null,
      size: null,
      stored: null,
      offset: null,
      flags: 0,
      extra: Buffer.alloc(0)
    })
    at += 46 + nameLength + extra + comment
  }
  return { entries, count: null, start: null, comment: '' }
}

/** @param {Tree} tree @param {(content: Tree) => Buffer} [writeContent] */
export function writeZip(tree, writeContent = toBytes) {
  const { entries, count, start, comment } = record(tree)
  /** @type {Buffer[]} */
  const body = []
  /** @type {Buffer[]} */
  const directory = []
  let at = 0
  for (const each of list(entries)) {
    const entry = record(each)
    const content = writeContent(entry.content)
    const data = entry.method === 8 ? deflateRawSync(content) : content
    const [name, extra] = [toBytes(entry.name), toBytes(entry.extra)]
    const fields = Buffer.concat([
      ...[20, number(entry.flags, 0), number(entry.method, 0), 0, 0x21].map((value) => integer(value, 2)),
      integer(number(entry.crc, crc32(content)), 4),
      integer(number(entry.stored, data.length), 4),
      integer(number(entry.size, content.length), 4),
      integer(name.length, 2),
      integer(extra.length, 2)
    ])
    body.push(integer(0x04034b50, 4), fields, name, extra, data)
    directory.push(
      integer(0x02014b50, 4),
      integer(20, 2),
      fields,
      Buffer.alloc(10),
      integer(number(entry.offset, at), 4),
      name,
      extra
    )
    at += 30 + name.length + extra.length + data.length
  }
  const central = Buffer.concat(directory)
  const note = toBytes(comment)
  const total = integer(number(count, list(entries).length), 2)
  const end = [
    integer(0x06054b50, 4),
    Buffer.alloc(4),
    total,
    total,
    integer(central.length, 4),
    integer(number(start, at), 4),
    integer(note.length, 2),
    note
  ]
  return Buffer.concat([...body, central, ...end])
}

/** @param {Buffer} bytes */
export function readNpy(bytes) {
  const length = bytes.readUInt16LE(8)
  return { version: 1, header: bytes.toString('latin1', 10, 10 + length), data: bytes.subarray(10 + length) }
}

/** @param {Tree} tree */
export function writeNpy(tree) {
  if (Buffer.isBuffer(tree)) return tree
  const { version, header, data } = record(tree)
  const text = toBytes(header)
  const length = integer(text.length, number(version, 1) > 1 ? 4 : 2)
  return Buffer.concat([
    Buffer.from('\x93NUMPY', 'latin1'),
    integer(number(version, 1), 1),
    Buffer.alloc(1),
    length,
    text,
    toBytes(data)
  ])
}

/** Bytes that follow an operation of a pickle: a number of them, or `n` for a length of n bytes before them. @type {Record<string, number | string>} */
const arguments_ = {
  '\x80': 1,
  '\x95': 8,
  K: 1,
  M: 2,
  J: 4,
  '\x8a': '1',
  '\x8b': '4',
  G: 8,
  U: '1',
  T: '4',
  '\x8c': '1',
  X: '4',
  '\x8d': '8',
  C: '1',
  B: '4',
  '\x8e': '8',
  '\x96': '8',
  q: 1,
  r: 4,
  h: 1,
  j: 4
}

/** Reads one pickle's operations. @param {Buffer} bytes @returns {Buffer[]} */
export function readPickle(bytes) {
  const operations = []
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.toString('latin1', at, at + 1)
    const kind = arguments_[code] ?? 0
    let end = at + 1
    if (code === 'c') end = bytes.indexOf(10, bytes.indexOf(10, end) + 1) + 1
    else if (typeof kind === 'number') end += kind
    else end += Number(kind) + bytes.readUIntLE(end, Math.min(6, Number(kind)))
    operations.push(bytes.subarray(at, end))
    at = end
    if (code === '.') break
  }
  return operations
}

/** A file of torch.save before PyTorch 1.6: five pickles, then storages. @param {Buffer} bytes */
export function readLegacy(bytes) {
  const parts = []
  let at = 0
  for (let i = 0; i < 5; i++) {
    const pickle = readPickle(bytes.subarray(at))
    at += Buffer.concat(pickle).length
    parts.push(pickle)
  }
  return [...parts, bytes.subarray(at)]
}

/** A zip of torch.save, its pickle as operations. @param {Buffer} bytes */
export const readTorch = (bytes) =>
  readZip(bytes, (name, content) => (name.endsWith('data.pkl') ? readPickle(content) : content))

/** @param {Buffer} bytes */
export function readPng(bytes) {
  const chunks = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    chunks.push({
      type: bytes.toString('latin1', at + 4, at + 8),
      data: bytes.subarray(at + 8, at + 8 + length),
      crc: null
    })
    at += 12 + length
  }
  return { png: bytes.subarray(0, 8), chunks }
}

/** A PNG, or the bytes of another format. @param {Tree} tree */
export function writeImage(tree) {
  if (!isRecord(tree) || !Array.isArray(tree.chunks)) return toBytes(tree)
  const parts = tree.chunks.map((/** @type {Tree} */ each) => {
    const { type, data, crc } = record(each)
    const body = Buffer.concat([toBytes(type), toBytes(data)])
    const [length, sum] = [toBytes(data).length, number(crc, crc32(body))].map((value) => integer(value, 4).reverse())
    return Buffer.concat([/** @type {Buffer} */ (length), body, /** @type {Buffer} */ (sum)])
  })
  return Buffer.concat([toBytes(tree.png), ...parts])
}
