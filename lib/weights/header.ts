/** Parses the header of a safetensors file, with every check the format requires, and writes it. */

import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { isTooDeep } from '../files/read.js'
import {
  dtypeSize,
  type FormatDtype,
  formatRank,
  formatSize,
  isFormatDtype,
  toFormat,
  type WeightDtype
} from './dtype.js'

/** Where one tensor lies in a file. */
export interface TensorInfo {
  readonly name: string
  /** The type as the header spells it, such as `F32`. */
  readonly format: FormatDtype
  readonly shape: readonly number[]
  /** Bytes from the start of the file. */
  readonly offset: number
  readonly byteLength: number
}

export interface SafetensorsHeader {
  /** Bytes of the file before its tensors, which fill the rest. */
  readonly byteLength: number
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, TensorInfo>
}

/** The limit of the reference implementation. */
export const maxHeaderBytes = 100_000_000

/** The `ERR_FORMAT` for a file that violates the format. */
export const invalidSafetensors = (file: string, problem: string): MactokError =>
  new MactokError('ERR_FORMAT', `${file} is not a valid safetensors file: ${problem}`)

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 80) ?? 'nothing'

/** Finds the first duplicate key in an object of a (valid) JSON text: JSON.parse would silently keep the last. */
function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = []
  let candidate: string | undefined
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}:]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (token !== ':') candidate = token
    else if (candidate !== undefined) {
      const key = JSON.parse(candidate) as string
      const keys = open.at(-1)
      if (keys?.has(key)) return key
      keys?.add(key)
    }
  }
  return undefined
}

/** Reads the header's length from a file's first eight bytes, and checks it against the size of the file. */
export function headerLength(first8: Uint8Array, fileSize: number, file: string): number {
  if (first8.byteLength < 8 || fileSize < 8) throw invalidSafetensors(file, `it has ${fileSize} bytes, fewer than 8`)
  const length = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes)) {
    throw invalidSafetensors(file, `its header would have ${length} bytes, more than ${maxHeaderBytes}`)
  }
  if (8n + length > BigInt(fileSize)) {
    throw invalidSafetensors(file, `its header ends at byte ${8n + length}, the file at ${fileSize}`)
  }
  return Number(length)
}

function parseTensor(name: string, entry: unknown, dataStart: number, file: string): TensorInfo {
  const fail = (problem: string) => invalidSafetensors(file, `tensor "${name}" ${problem}`)
  if (!isRecord(entry)) throw fail(`is described by ${show(entry)}, not by an object`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (!isFormatDtype(dtype)) throw fail(`has the unknown dtype ${show(dtype)}`)
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`has the impossible shape ${show(shape)}`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fail(`has the impossible data_offsets ${show(offsets)}`)
  }
  const [start, end] = offsets as [number, number]
  const byteLength = shape.reduce((product: number, size: number) => product * size, formatSize(dtype))
  // Products beyond 2^53 are inexact, but no exact span of bytes can equal them.
  if (!Number.isSafeInteger(byteLength) || end - start !== byteLength) {
    throw fail(`needs ${byteLength} bytes for ${dtype} [${shape}], its data_offsets span ${end - start}`)
  }
  return { name, format: dtype, shape, offset: dataStart + start, byteLength }
}

/**
 * Parses the JSON of a header, the bytes after the first eight.
 * @param fileSize - size of the whole file: tensors must fill it without gaps or overlaps
 * @throws {MactokError} `ERR_FORMAT` naming file and tensor
 */
export function parseHeader(json: Uint8Array, fileSize: number, file: string): SafetensorsHeader {
  const dataStart = 8 + json.byteLength
  let text: string
  let parsed: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
    parsed = JSON.parse(text)
  } catch (error) {
    throw invalidSafetensors(file, `its header is not JSON (${(error as Error).message})`)
  }
  if (!isRecord(parsed) || !text.startsWith('{')) throw invalidSafetensors(file, 'its header is not a JSON object')
  if (isTooDeep(parsed)) throw invalidSafetensors(file, 'its header is nested too deeply')
  const duplicate = findDuplicateKey(text)
  if (duplicate !== undefined) throw invalidSafetensors(file, `its header has "${duplicate}" twice`)

  const { __metadata__: metadata = {}, ...entries } = parsed
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw invalidSafetensors(file, 'its __metadata__ is not an object of strings')
  }
  const tensors = Object.entries(entries).map(([name, entry]) => parseTensor(name, entry, dataStart, file))

  let position = dataStart
  let previous = 'the header'
  for (const { name, offset, byteLength } of tensors.toSorted(
    (a, b) => a.offset - b.offset || a.byteLength - b.byteLength
  )) {
    if (offset !== position) {
      const problem = offset < position ? 'overlaps' : `leaves ${offset - position} unused bytes after`
      throw invalidSafetensors(file, `tensor "${name}" ${problem} ${previous}`)
    }
    position += byteLength
    previous = `tensor "${name}"`
  }
  if (position !== fileSize) {
    throw invalidSafetensors(file, `its tensors end at byte ${position}, the file at ${fileSize}`)
  }
  return {
    byteLength: dataStart,
    metadata: metadata as Record<string, string>,
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor]))
  }
}

/** A tensor to write. */
export interface TensorShape {
  readonly name: string
  readonly dtype: WeightDtype
  readonly shape: readonly number[]
}

const byteLengthOf = ({ dtype, shape }: TensorShape): number =>
  shape.reduce((product, size) => product * size, dtypeSize(dtype))

const compareNames = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/**
 * Builds the header of a file, and orders its tensors as their data must follow: wide types first, then by name, as the
 * reference implementation does to keep data aligned.
 */
export function buildHeader<T extends TensorShape>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>>
): { bytes: Uint8Array; ordered: { tensor: T; byteLength: number }[] } {
  const ordered = tensors
    .toSorted((a, b) => formatRank(toFormat(b.dtype)) - formatRank(toFormat(a.dtype)) || compareNames(a.name, b.name))
    .map((tensor) => ({ tensor, byteLength: byteLengthOf(tensor) }))
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []
  let position = 0
  for (const { tensor, byteLength } of ordered) {
    const data_offsets = [position, position + byteLength]
    entries.push([tensor.name, { dtype: toFormat(tensor.dtype), shape: tensor.shape, data_offsets }])
    position += byteLength
  }
  const json = Buffer.from(`{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)}}`)
  const bytes = new Uint8Array(8 + Math.ceil(json.byteLength / 8) * 8).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.byteLength - 8), true)
  bytes.set(json, 8)
  return { bytes, ordered }
}
