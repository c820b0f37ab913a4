/** Reads NumPy's `.npz` archives, compressed or not, array by array, holding only the requested part in memory. */

import type { Readable } from 'node:stream'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import { MactokError } from '../errors.js'

/** An array's header. */
export interface NpzArray {
  /** In NumPy's notation, such as `<f8` or `|u1`. */
  dtype: string
  shape: readonly number[]
}

const elementSize = (dtype: string): number => Number(/\d+$/.exec(dtype)?.[0] ?? 0)

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1)

/** Reads exact numbers of bytes from a stream. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]()
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
    return result
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

/** Reads the header of a NumPy file, versions 1 to 3, up to its first element. */
async function readHeader(reader: ByteReader): Promise<NpzArray> {
  const start = await reader.take(8)
  if (start.toString('latin1', 0, 6) !== '\x93NUMPY') throw new RangeError('it is not a NumPy array')
  const long = (start[6] as number) > 1
  const length = await reader.take(long ? 4 : 2)
  const text = (await reader.take(long ? length.readUInt32LE() : length.readUInt16LE())).toString('latin1')
  const [, dtype] = /'descr':\s*'([^']+)'/.exec(text) ?? []
  const [, shape] = /'shape':\s*\(([^)]*)\)/.exec(text) ?? []
  if (dtype === undefined || shape === undefined) throw new RangeError(`its header is ${text.trim()}`)
  if (/'fortran_order':\s*True/.test(text)) throw new RangeError('its elements are in Fortran order')
  if (!/^[<|][a-z]\d+$/.test(dtype)) throw new RangeError(`its dtype is ${dtype}`)
  return {
    dtype,
    shape: shape
      .split(',')
      .filter((size) => size.trim() !== '')
      .map(Number)
  }
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
    try {
      const archive = await openPromise(path, { autoClose: false, lazyEntries: true })
      const entries = new Map<string, Entry>()
      for await (const entry of archive.eachEntry()) entries.set(entry.fileName.replace(/\.npy$/, ''), entry)
      return new NpzFile(path, archive, entries)
    } catch (cause) {
      throw new MactokError('ERR_FORMAT', `${path} is not an .npz archive: ${(cause as Error).message}`, { cause })
    }
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  async #reader(name: string): Promise<ByteReader> {
    const entry = this.#entries.get(name)
    if (!entry) throw new RangeError(`the archive has only ${this.names().join(', ')}`)
    return new ByteReader(await this.#archive.openReadStreamPromise(entry))
  }

  #failure(name: string, cause: unknown): MactokError {
    if (cause instanceof MactokError) return cause
    return new MactokError('ERR_FORMAT', `Cannot read ${name} of ${this.path}: ${(cause as Error).message}`, { cause })
  }

  /** Reads an array's header. */
  async describe(name: string): Promise<NpzArray> {
    const reader = await this.#reader(name).catch((cause) => {
      throw this.#failure(name, cause)
    })
    try {
      return await readHeader(reader)
    } catch (cause) {
      throw this.#failure(name, cause)
    } finally {
      await reader.close()
    }
  }

  /** Reads a whole array of numbers as doubles. */
  async numbers(name: string): Promise<{ shape: readonly number[]; data: Float64Array }> {
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
   * Yields the bytes of an array, `count` rows of its first dimension at a time. A scalar or an array without rows
   * comes at once.
   */
  async *rows(name: string, count: number): AsyncGenerator<{ rows: Buffer; array: NpzArray }, void, undefined> {
    let reader: ByteReader | undefined
    try {
      reader = await this.#reader(name)
      const array = await readHeader(reader)
      const [total = 1, ...rest] = array.shape
      const row = sizeOf(rest) * elementSize(array.dtype)
      for (let first = 0; first < Math.max(1, total); first += count) {
        const rows = await reader.take(Math.min(count, total - first) * row)
        yield { rows, array }
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
