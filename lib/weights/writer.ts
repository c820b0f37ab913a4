import { createHash } from 'node:crypto'
import { isRecord, objects, pathTo } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { writeAtomically, writeFully } from '../files/atomic.js'
import type { Checksum } from '../files/checksums.js'
import { Crc32c } from '../native/checksums.js'
import { asBytes, isWeightDtype, type WeightDtype } from './dtype.js'
import { buildHeader } from './header.js'

type Chunks = Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>

/**
 * A tensor to write: its elements in row-major order, little-endian, given directly or produced when they are needed.
 */
export interface TensorData {
  readonly name: string
  readonly dtype: WeightDtype
  readonly shape: readonly number[]
  readonly data: ArrayBufferView | (() => Promise<ArrayBufferView>) | (() => Chunks)
}

function checkTensors(tensors: readonly TensorData[]): void {
  objects('tensors', tensors)
  const seen = new Set<string>()
  for (const { name, dtype, shape, data } of tensors) {
    if (typeof name !== 'string') throw invalidParameter('name', "a tensor's name", name)
    if (name === '__metadata__' || seen.has(name)) throw outOfRange('name', 'a unique name for each tensor', name)
    if (!isWeightDtype(dtype)) throw outOfRange(`dtype of "${name}"`, 'a dtype of safetensors', dtype)
    if (!Array.isArray(shape)) throw invalidParameter(`shape of "${name}"`, 'an array of sizes', shape)
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      throw outOfRange(`shape of "${name}"`, 'non-negative integers', `[${shape}]`)
    }
    if (typeof data !== 'function') checkChunk(name, data)
    seen.add(name)
  }
}

function checkChunk(name: string, chunk: unknown): asserts chunk is ArrayBufferView {
  if (!ArrayBuffer.isView(chunk)) throw invalidParameter(`data of "${name}"`, 'a typed array', chunk)
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  if (!isRecord(metadata)) throw invalidParameter('metadata', 'an object of texts', metadata)
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw invalidParameter(`metadata.${name}`, 'a text', value)
  }
}

async function* chunksOf({ name, data }: TensorData): AsyncGenerator<ArrayBufferView> {
  const source: unknown = await (typeof data === 'function' ? data() : data)
  if (Object(source)[Symbol.asyncIterator] || (!ArrayBuffer.isView(source) && Object(source)[Symbol.iterator])) {
    yield* source as Chunks
    return
  }
  checkChunk(name, source)
  yield source
}

/**
 * Writes a safetensors file atomically, one tensor in memory at a time. Tensors are ordered as Python's `safetensors`
 * orders them, so that equal tensors and metadata give equal bytes, whatever their order.
 * @returns the file's SHA-256, in hexadecimal
 * @throws {RangeError} for duplicate names, and for data whose size does not match dtype and shape
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {}
): Promise<string> {
  return write(file, tensors, metadata, () => {})
}

/** Writes a safetensors file as `writeSafetensors` does; returns both checksums, of which CRC-32C needs the addon. */
export async function writeWithChecksums(
  file: string,
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {}
): Promise<Checksum> {
  const crc = new Crc32c()
  const sha256 = await write(file, tensors, metadata, (part) => crc.update(part))
  return { sha256, crc32c: crc.digest() }
}

/** @param onPart - is called with everything that is written, in pieces */
async function write(
  file: string,
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>>,
  onPart: (part: Uint8Array) => void
): Promise<string> {
  pathTo('file', file)
  checkTensors(tensors)
  checkMetadata(metadata)
  const { bytes, ordered } = buildHeader(tensors, metadata)
  const hash = createHash('sha256')
  await writeAtomically(file, async (handle) => {
    // Hashing what libuv writes meanwhile takes no time of its own.
    const append = async (part: Uint8Array) => {
      const written = writeFully(handle, part)
      hash.update(part)
      onPart(part)
      await written
    }
    await append(bytes)
    for (const { tensor, byteLength } of ordered) {
      let written = 0
      for await (const chunk of chunksOf(tensor)) {
        checkChunk(tensor.name, chunk)
        written += chunk.byteLength
        if (written <= byteLength) await append(asBytes(chunk))
      }
      if (written !== byteLength) throw outOfRange(`data of "${tensor.name}"`, `${byteLength} bytes`, `${written}`)
    }
  })
  return hash.digest('hex')
}
