/** Reads NumPy's `.npz` archives, compressed or not, array by array, holding only the requested part in memory. */

import type { Readable } from 'node:stream'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import { MactokError } from '../errors.js'
import { crc32 } from './crc32.js'

/** An array's header. */
export interface NpzArray {
  /** In NumPy's notation, such as `<f8` or `|u1`. */
  dtype: string
  shape: readonly number[]
}

/** A header with what only reading the array needs. */
interface ArrayHeader extends NpzArray {
  /** Whether its first dimension varies fastest, as in Fortran and MATLAB. */
  fortran: boolean
}

/** Far more than NumPy writes for an array of numbers. */
const maxHeaderBytes = 2 ** 16
/** Limit on the elements that `numbers` reads; FID's covariance has 4 million. */
const maxNumbers = 2 ** 24
/** Limit on an array in Fortran order, which is read whole to bring its rows together. */
const maxFortranBytes = 2 ** 30

const elementSize = (dtype: string): number => Number(/\d+$/.exec(dtype)?.[0] ?? 0)

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Reads exact numbers of bytes of an entry, and compares the whole with its checksum. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #expected: number
  #rest: Buffer = Buffer.alloc(0)
  #left: number
  #crc = 0

  constructor(stream: Readable, { uncompressedSize, crc32 }: Pick<Entry, 'uncompressedSize' | 'crc32'>) {
    this.#chunks = stream[Symbol.asyncIterator]()
    this.#left = uncompressedSize
    this.#expected = crc32
  }

  async take(bytes: number): Promise<Buffer> {
    const result = Buffer.allocUnsafeSlow(bytes)
    for (let filled = 0; filled < bytes; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next()
        if (done) throw new RangeError('the array is truncated')
        this.#rest = value
      }
      const part = this.#rest.subarray(0, bytes - filled)
      part.copy(result, filled)
      this.#rest = this.#rest.subarray(part.length)
      filled += part.length
    }
    this.#crc = crc32(result, this.#crc)
    this.#left -= bytes
    if (this.#left === 0 && this.#crc !== this.#expected) throw new RangeError('its checksum differs: it is damaged')
    return result
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

/**
 * Reads the header of a NumPy file, versions 1 to 3, up to its first element.
 * @param size - bytes of the whole file: the array must fill the rest of it
 */
async function readHeader(reader: ByteReader, size: number): Promise<ArrayHeader> {
  const start = await reader.take(8)
  if (start.toString('latin1', 0, 6) !== '\x93NUMPY') throw new RangeError('it is not a NumPy array')
  const long = (start[6] as number) > 1
  const prefix = await reader.take(long ? 4 : 2)
  const length = long ? prefix.readUInt32LE() : prefix.readUInt16LE()
  if (length > maxHeaderBytes) throw new RangeError(`its header would have ${length} bytes`)
  const text = (await reader.take(length)).toString('latin1')
  const [, dtype] = /'descr':\s*'([^']+)'/.exec(text) ?? []
  const [, sizes] = /'shape':\s*\(([^)]*)\)/.exec(text) ?? []
  if (dtype === undefined || sizes === undefined) throw new RangeError(`its header is ${text.trim()}`)
  if (!/^[<|][biufc](1|2|4|8|16)$/.test(dtype)) throw new RangeError(`its dtype is ${dtype}`)
  const shape = sizes
    .split(',')
    .filter((each) => each.trim() !== '')
    .map(Number)
  const needed = sizeOf(shape) * elementSize(dtype)
  if (!shape.every((each) => Number.isSafeInteger(each) && each >= 0) || !Number.isSafeInteger(needed)) {
    throw new RangeError(`its shape (${sizes.trim()}) is impossible`)
  }
  const rest = size - start.length - prefix.length - length
  if (needed !== rest) throw new RangeError(`its shape [${shape.join(', ')}] needs ${needed} bytes, but it has ${rest}`)
  return { dtype, shape, fortran: /'fortran_order':\s*True/.test(text) && shape.length > 1 }
}

/** Brings the elements of an array in Fortran order into row-major order. */
function toRowMajor(bytes: Buffer, shape: readonly number[], size: number): Buffer {
  const result = Buffer.allocUnsafeSlow(bytes.length)
  const strides = shape.map((_, axis) => size * sizeOf(shape.slice(0, axis)))
  const index = shape.map(() => 0)
  for (let to = 0, from = 0; to < result.length; to += size) {
    for (let byte = 0; byte < size; byte++) result[to + byte] = bytes[from + byte] as number
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis] as number
      index[axis] = (index[axis] as number) + 1
      if ((index[axis] as number) < (shape[axis] as number)) break
      from -= (shape[axis] as number) * (strides[axis] as number)
      index[axis] = 0
    }
  }
  return result
}

async function readFortran(reader: ByteReader, { dtype, shape }: ArrayHeader): Promise<Buffer> {
  const size = elementSize(dtype)
  const bytes = sizeOf(shape) * size
  if (bytes > maxFortranBytes) {
    throw new RangeError(
      `its ${bytes} bytes are in Fortran order, which is read up to ${maxFortranBytes}: save np.ascontiguousarray of it`
    )
  }
  return toRowMajor(await reader.take(bytes), shape, size)
}

/** Converts numbers of a dtype to doubles. */
function toDoubles(bytes: Buffer, dtype: string): Float64Array {
  const { buffer, byteOffset } = bytes
  const count = bytes.length / elementSize(dtype)
  switch (dtype) {
    case '<f8':
      return new Float64Array(buffer, byteOffset, count)
    case '<f4':
      return Float64Array.from(new Float32Array(buffer, byteOffset, count))
    case '<i4':
      return Float64Array.from(new Int32Array(buffer, byteOffset, count))
    case '<i8':
      return Float64Array.from(new BigInt64Array(buffer, byteOffset, count), Number)
    case '|u1':
      return Float64Array.from(bytes)
    default:
      throw new RangeError(`its dtype is ${dtype}`)
  }
}

/** An open archive. */
export class NpzFile implements AsyncDisposable {
  readonly #archive: ZipFile
  readonly #entries: ReadonlyMap<string, Entry>

  private constructor(
    readonly path: string,
    archive: ZipFile,
    entries: ReadonlyMap<string, Entry>
  ) {
    this.#archive = archive
    this.#entries = entries
  }

  /** @throws {MactokError} `ERR_FORMAT` when it is not an archive */
  static async open(path: string): Promise<NpzFile> {
    let archive: ZipFile | undefined
    try {
      archive = await openPromise(path, { autoClose: false, lazyEntries: true })
      const entries = new Map<string, Entry>()
      for await (const entry of archive.eachEntry()) entries.set(entry.fileName.replace(/\.npy$/, ''), entry)
      return new NpzFile(path, archive, entries)
    } catch (cause) {
      archive?.close()
      throw new MactokError('ERR_FORMAT', `${path} is not an .npz archive: ${(cause as Error).message}`, { cause })
    }
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Opens an array: its header, and the reader of its elements. */
  async #open(name: string): Promise<{ array: ArrayHeader; reader: ByteReader }> {
    const entry = this.#entries.get(name)
    if (!entry) throw new RangeError(`the archive has only ${this.names().join(', ')}`)
    const reader = new ByteReader(await this.#archive.openReadStreamPromise(entry), entry)
    try {
      return { array: await readHeader(reader, entry.uncompressedSize), reader }
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  #failure(name: string, cause: unknown): MactokError {
    if (cause instanceof MactokError) return cause
    return new MactokError('ERR_FORMAT', `Cannot read ${name} of ${this.path}: ${(cause as Error).message}`, { cause })
  }

  /** Reads an array's header. */
  async describe(name: string): Promise<NpzArray> {
    try {
      const { array, reader } = await this.#open(name)
      await reader.close()
      return { dtype: array.dtype, shape: array.shape }
    } catch (cause) {
      throw this.#failure(name, cause)
    }
  }

  /** Reads a whole array of at most 2²⁴ numbers as doubles. */
  async numbers(name: string): Promise<{ shape: readonly number[]; data: Float64Array }> {
    const { shape } = await this.describe(name)
    if (sizeOf(shape) > maxNumbers) {
      throw this.#failure(name, new RangeError(`its shape [${shape.join(', ')}] has more than ${maxNumbers} numbers`))
    }
    const { rows, array } = await this.#readWhole(name)
    try {
      return { shape: array.shape, data: toDoubles(rows, array.dtype) }
    } catch (cause) {
      throw this.#failure(name, cause)
    }
  }

  /** Reads a whole array of float32. */
  async floats(name: string): Promise<{ shape: readonly number[]; data: Float32Array }> {
    const { rows, array } = await this.#readWhole(name)
    if (array.dtype !== '<f4') throw this.#failure(name, new RangeError(`its dtype is ${array.dtype}`))
    return { shape: array.shape, data: new Float32Array(rows.buffer, rows.byteOffset, rows.length / 4) }
  }

  async #readWhole(name: string): Promise<{ rows: Buffer; array: NpzArray }> {
    for await (const whole of this.rows(name, Number.POSITIVE_INFINITY)) return whole
    throw this.#failure(name, new RangeError('it is empty'))
  }

  /**
   * Yields the bytes of an array in row-major order, `count` rows of its first dimension at a time. A scalar or an array
   * without elements comes at once.
   */
  async *rows(name: string, count: number): AsyncGenerator<{ rows: Buffer; array: NpzArray }, void, undefined> {
    let reader: ByteReader | undefined
    try {
      const opened = await this.#open(name)
      reader = opened.reader
      const { array } = opened
      const [total = 1, ...rest] = array.shape
      const row = sizeOf(rest) * elementSize(array.dtype)
      const whole = array.fortran ? await readFortran(reader, array) : undefined
      const step = row === 0 ? Number.POSITIVE_INFINITY : count
      for (let first = 0; first < Math.max(1, total); first += step) {
        const bytes = Math.min(step, total - first) * row
        yield { rows: whole ? whole.subarray(first * row, first * row + bytes) : await reader.take(bytes), array }
      }
    } catch (cause) {
      throw this.#failure(name, cause)
    } finally {
      await reader?.close()
    }
  }

  async close(): Promise<void> {
    this.#archive.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
