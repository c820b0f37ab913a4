import { type FileHandle, open } from 'node:fs/promises'
import { MactokError, outOfRange } from '../errors.js'
import { fromFormat, toFloat32, type WeightDtype } from './dtype.js'
import { headerLength, invalidSafetensors, parseHeader, type SafetensorsHeader, type TensorInfo } from './header.js'

/** Fills a new, and so aligned, buffer from a position of a file. */
async function readAt(handle: FileHandle, position: number, length: number, file: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    // One read of the system takes at most 2 GiB.
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), position + done)
    if (bytesRead === 0) throw invalidSafetensors(file, `it ends at byte ${position + done}: it was cut while open`)
    done += bytesRead
  }
  return bytes
}

/** An open safetensors file: its header in memory, its tensors read when asked for. Needs no LibTorch. */
export class SafetensorsFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly header: SafetensorsHeader
  ) {}

  /** @throws MactokError `ERR_FORMAT` when the file breaks the format; the system's error when it cannot be read. */
  static async open(path: string): Promise<SafetensorsFile> {
    const handle = await open(path)
    try {
      const { size } = await handle.stat()
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

  /** @throws RangeError when the file has no such tensor. */
  info(name: string): TensorInfo {
    const info = this.header.tensors.get(name)
    if (!info) throw outOfRange('name', `a tensor of ${this.path}`, name)
    return info
  }

  /** @throws MactokError `ERR_FORMAT` for types that MacTok has no tensors of. */
  dtype(name: string): WeightDtype {
    const { format } = this.info(name)
    const dtype = fromFormat(format)
    if (!dtype) throw new MactokError('ERR_FORMAT', `Tensor "${name}" of ${this.path} has dtype ${format}`)
    return dtype
  }

  /** The elements in row-major order, little-endian; a fresh buffer, so that typed arrays can view it. */
  bytes(name: string): Promise<Uint8Array> {
    const { offset, byteLength } = this.info(name)
    return readAt(this.handle, offset, byteLength, this.path)
  }

  /** Rows [start, end) of the first dimension. */
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

  /** A floating-point tensor's elements as float32. */
  async float32(name: string): Promise<Float32Array> {
    return toFloat32(await this.bytes(name), this.dtype(name))
  }

  /** Closes the file; harmless when repeated. */
  close(): Promise<void> {
    return this.handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Opens a safetensors file and checks its header; tensors are read when asked for.
 * @throws MactokError `ERR_FORMAT` naming the file and the tensor that break the format
 */
export const readSafetensors = (path: string): Promise<SafetensorsFile> => SafetensorsFile.open(path)
