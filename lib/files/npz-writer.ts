import { MactokError, outOfRange } from '../errors.js'
import { AtomicFile, writeAtomically, writeFully } from './atomic.js'
import { crc32 } from './crc32.js'
import { naming } from './system-error.js'

const localHeader = 0x04034b50
const centralHeader = 0x02014b50
/** The labels of so many take 512 MiB. */
const maxImages = 2 ** 26

/** Builds the header of a NumPy file, version 1.0: magic, length, and the description padded to 64 bytes. */
function npyHeader(dtype: string, shape: readonly number[]): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${tuple}, }`
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)
  const header = Buffer.alloc(10)
  header.write('\x93NUMPY\x01\x00', 'latin1')
  header.writeUInt16LE(padded.length + 1, 8)
  return Buffer.concat([header, Buffer.from(`${padded}\n`)])
}

interface Entry {
  name: string
  offset: number
  crc: number
  size: number
}

/** Builds either zip header of an entry, with 64-bit sizes in the extra field, because an array may exceed 4 GiB. */
function zipHeader({ name, offset, crc, size }: Entry, central: boolean): Buffer {
  const extra = Buffer.alloc(central ? 28 : 20)
  extra.writeUInt16LE(1, 0)
  extra.writeUInt16LE(extra.length - 4, 2)
  extra.writeBigUInt64LE(BigInt(size), 4)
  extra.writeBigUInt64LE(BigInt(size), 12)
  if (central) extra.writeBigUInt64LE(BigInt(offset), 20)
  const fields = Buffer.alloc(central ? 46 : 30)
  let at = fields.writeUInt32LE(central ? centralHeader : localHeader, 0)
  if (central) at = fields.writeUInt16LE(45, at)
  // Version 4.5 (zip64), no flags, stored, time 0, date 1980-01-01.
  for (const value of [45, 0, 0, 0, 0x21]) at = fields.writeUInt16LE(value, at)
  at = fields.writeUInt32LE(crc, at)
  for (let i = 0; i < 2; i++) at = fields.writeUInt32LE(0xffffffff, at)
  at = fields.writeUInt16LE(name.length, at)
  at = fields.writeUInt16LE(extra.length, at)
  if (central) fields.writeUInt32LE(0xffffffff, 42)
  return Buffer.concat([fields, Buffer.from(name), extra])
}

function zipEnd(entries: number, start: number, size: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22)
  end.writeUInt32LE(0x06064b50, 0)
  end.writeBigUInt64LE(44n, 4)
  end.writeUInt16LE(45, 12)
  end.writeUInt16LE(45, 14)
  for (const at of [24, 32]) end.writeBigUInt64LE(BigInt(entries), at)
  end.writeBigUInt64LE(BigInt(size), 40)
  end.writeBigUInt64LE(BigInt(start), 48)
  end.writeUInt32LE(0x07064b50, 56)
  end.writeBigUInt64LE(BigInt(start + size), 64)
  end.writeUInt32LE(1, 72)
  end.writeUInt32LE(0x06054b50, 76)
  for (const at of [84, 86]) end.writeUInt16LE(0xffff, at)
  for (const at of [88, 92]) end.writeUInt32LE(0xffffffff, at)
  return end
}

/** The arrays that `writeNpz` takes. */
export type NpzData = Float64Array | Float32Array | Int32Array | Uint8Array

function dtypeOf(data: NpzData): string {
  if (data instanceof Float64Array) return '<f8'
  if (data instanceof Float32Array) return '<f4'
  return data instanceof Int32Array ? '<i4' : '|u1'
}

/** Writes what `numpy.savez(file, **arrays)` would, atomically. */
export async function writeNpz(
  file: string,
  arrays: Readonly<Record<string, { shape: readonly number[]; data: NpzData }>>
): Promise<void> {
  await writeAtomically(file, async (handle) => {
    const entries: Entry[] = []
    let offset = 0
    for (const [name, { shape, data }] of Object.entries(arrays)) {
      const header = npyHeader(dtypeOf(data), shape)
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      const size = header.length + bytes.length
      const entry = { name: `${name}.npy`, offset, crc: crc32(bytes, crc32(header)), size }
      const local = zipHeader(entry, false)
      for (const part of [local, header, bytes]) await writeFully(handle, part)
      entries.push(entry)
      offset += local.length + size
    }
    const directory = Buffer.concat(entries.map((entry) => zipHeader(entry, true)))
    await writeFully(handle, directory)
    await writeFully(handle, zipEnd(entries.length, offset, directory.length))
  })
}

/**
 * Writes what `numpy.savez(file, images, labels)` would, image by image, as ADM's evaluator reads it: `arr_0` uint8
 * [N, H, W, 3] and `arr_1` int64 [N]. The file appears only when it is complete.
 */
export class NpzWriter {
  readonly #name: string
  readonly #file: AtomicFile
  readonly #labels: BigInt64Array
  readonly #entry: Entry
  readonly #shape: readonly number[]
  #count = 0

  private constructor(name: string, file: AtomicFile, shape: readonly number[], header: Buffer) {
    this.#name = name
    this.#file = file
    this.#shape = shape
    this.#labels = new BigInt64Array(shape[0] as number)
    const size = header.length + shape.reduce((product, length) => product * length, 1)
    this.#entry = { name: 'arr_0.npy', offset: 0, crc: crc32(header), size }
  }

  /**
   * @throws {RangeError} for more images than labels fit into memory
   * @throws {MactokError} ERR_FORMAT for a device or a pipe, whose beginning cannot be written at the end
   */
  static async create(name: string, count: number, height: number, width: number): Promise<NpzWriter> {
    if (count > maxImages) throw outOfRange('count', `at most ${maxImages} images in an .npz`, count)
    const file = await AtomicFile.create(name)
    try {
      if (!file.isRegular) {
        throw new MactokError('ERR_FORMAT', `${name} is not a regular file: an .npz cannot be written to it`)
      }
      const shape = [count, height, width, 3]
      const header = npyHeader('|u1', shape)
      const writer = new NpzWriter(name, file, shape, header)
      await writer.#append(zipHeader(writer.#entry, false), header)
      return writer
    } catch (error) {
      await file.discard()
      throw error
    }
  }

  async #append(...parts: Uint8Array[]): Promise<void> {
    for (const part of parts) await naming(this.#name, writeFully(this.#file.handle, part))
  }

  async add(image: Uint8Array, label: number): Promise<void> {
    this.#entry.crc = crc32(image, this.#entry.crc)
    this.#labels[this.#count++] = BigInt(label)
    await this.#append(image)
  }

  /** @throws {Error} when not all images were added */
  async finish(): Promise<void> {
    const [count] = this.#shape
    if (this.#count !== count) throw new Error(`Expected ${count} images in ${this.#name} but received ${this.#count}`)
    const header = npyHeader('<i8', [count])
    const labels = Buffer.concat([header, Buffer.from(this.#labels.buffer)])
    const first = zipHeader(this.#entry, false)
    const offset = first.length + this.#entry.size
    const second: Entry = { name: 'arr_1.npy', offset, crc: crc32(labels), size: labels.length }
    const local = zipHeader(second, false)
    const start = offset + local.length + labels.length
    const directory = Buffer.concat([this.#entry, second].map((entry) => zipHeader(entry, true)))
    await this.#append(local, labels, directory, zipEnd(2, start, directory.length))
    // Only now is the checksum known.
    await naming(this.#name, writeFully(this.#file.handle, first, 0))
    await this.#file.commit()
  }

  /** Deletes the unfinished file. */
  discard(): Promise<void> {
    return this.#file.discard()
  }
}
