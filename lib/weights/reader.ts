import type { FileHandle } from 'node:fs/promises'
import { instance, natural, pathTo } from '../checks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { openToRead, readFully } from '../files/read.js'
import { naming } from '../files/system-error.js'
import { detectContent } from './content.js'
import { fromFormat, toFloat32, type WeightDtype } from './dtype.js'
import { headerLength, invalidSafetensors, parseHeader, type SafetensorsHeader, type TensorInfo } from './header.js'

const fill = (handle: FileHandle, bytes: Uint8Array, position: number, file: string): Promise<Uint8Array> =>
  naming(
    file,
    readFully(handle, bytes, position, (end) =>
      invalidSafetensors(file, `it ends at byte ${end}: it was truncated while open`)
    )
  )

/** Reads into a new buffer, which is therefore aligned. */
const readAt = (handle: FileHandle, position: number, length: number, file: string): Promise<Uint8Array> =>
  fill(handle, new Uint8Array(length), position, file)

/** An open safetensors file: its header is in memory, its tensors are read on request. Needs no LibTorch. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly header: SafetensorsHeader
  ) {}

  /** @throws {MactokError} `ERR_FORMAT` when the file violates the format; the system's error when it cannot be read */
  static async open(path: string): Promise<SafetensorsFile> {
    pathTo('path', path)
    const handle = await openToRead(path)
    try {
      const { size } = await handle.stat()
      if ((await detectContent(handle, path)) === 'torch') {
        throw invalidSafetensors(path, 'it is a file of torch.save; convert it with `mactok weights import`')
      }
      const length = headerLength(await readAt(handle, 0, Math.min(8, size), path), size, path)
      return new SafetensorsFile(path, handle, parseHeader(await readAt(handle, 8, length, path), size, path))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The strings of `__metadata__`. */
  get metadata(): Readonly<Record<string, string>> {
    return this.header.metadata
  }

  /** All tensors by name, in the header's order. */
  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.header.tensors
  }

  /** Names in the header's order. */
  names(): string[] {
    return [...this.header.tensors.keys()]
  }

  /** @throws {RangeError} when the file has no such tensor */
  info(name: string): TensorInfo {
    const info = this.header.tensors.get(name)
    if (!info) throw outOfRange('name', `a tensor of ${this.path}`, name)
    return info
  }

  /** @throws {MactokError} `ERR_FORMAT` for types that MacTok does not support */
  dtype(name: string): WeightDtype {
    const { format } = this.info(name)
    const dtype = fromFormat(format)
    if (!dtype) throw new MactokError('ERR_FORMAT', `Tensor "${name}" of ${this.path} has dtype ${format}`)
    return dtype
  }

  /** Reads what comes before the tensors, which fill the rest of the file. */
  headerBytes(): Promise<Uint8Array> {
    return readAt(this.handle, 0, this.header.byteLength, this.path)
  }

  /** Reads the elements in row-major order, little-endian, into a new buffer, which typed arrays can view. */
  bytes(name: string): Promise<Uint8Array> {
    const { offset, byteLength } = this.info(name)
    return readAt(this.handle, offset, byteLength, this.path)
  }

  /** Reads rows [start, end) of the first dimension. */
  async rows(name: string, start: number, end: number): Promise<Uint8Array> {
    const { offset, byteLength, shape } = this.info(name)
    const count = shape[0]
    if (
      count === undefined ||
      !(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= count)
    ) {
      throw outOfRange('rows', `a range within the ${count ?? 'missing'} rows of "${name}"`, `[${start}, ${end})`)
    }
    if (start === end) return new Uint8Array()
    const row = byteLength / count
    return readAt(this.handle, offset + start * row, (end - start) * row, this.path)
  }

  /** Reads pieces of `length` bytes from `offsets` of the file to `positions` of the destination. */
  async gather(
    offsets: readonly number[],
    positions: readonly number[],
    length: number,
    destination: Uint8Array
  ): Promise<void> {
    for (const [name, places] of Object.entries({ offsets, positions })) {
      if (!Array.isArray(places)) throw invalidParameter(name, 'an array of bytes to begin at', places)
      for (const [i, place] of places.entries()) natural(`${name}[${i}]`, place)
    }
    natural('length', length)
    instance('destination', 'a Uint8Array', Uint8Array, destination)
    if (positions.length !== offsets.length || positions.some((start) => start + length > destination.length)) {
      throw outOfRange('positions', `one for each offset, with room for ${length} bytes`, positions)
    }
    const read = (offset: number, i: number) => {
      const position = positions[i] as number
      return fill(this.handle, destination.subarray(position, position + length), offset, this.path)
    }
    await Promise.all(offsets.map(read))
  }

  /** Reads a floating-point tensor's elements as float32. */
  async float32(name: string): Promise<Float32Array> {
    return toFloat32(await this.bytes(name), this.dtype(name))
  }

  /** Closes the file. Safe to call repeatedly. */
  close(): Promise<void> {
    return this.handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Opens a safetensors file and checks its header; tensors are read on request.
 * @throws {MactokError} `ERR_FORMAT` naming the file and the tensor that violate the format
 */
export const readSafetensors = (path: string): Promise<SafetensorsFile> => SafetensorsFile.open(path)
