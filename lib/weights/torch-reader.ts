/** Reads files of `torch.save`, of both formats, without running any code in their pickles. */

import type { FileHandle } from 'node:fs/promises'
import { openPromise } from 'yauzl'
import { MactokError } from '../errors.js'
import { openToRead, readFully } from '../files/read.js'
import { naming } from '../files/system-error.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { detectContent } from './content.js'
import { isWeightDtype } from './dtype.js'
import { invalidPickle, type PickleOptions, unpickle } from './pickle.js'
import type { WeightTensor } from './tensors.js'
import { elementSize, storageDtype, TorchStorage, type TorchTensor, torchConstructors } from './torch-tensor.js'

/** Limit on the pickles of a file; a checkpoint's have a few hundred kilobytes. */
const maxPickleBytes = 64 * 2 ** 20

/** Reads into a new buffer, which is therefore aligned. */
type Read = (position: number, length: number) => Promise<Uint8Array>

const reader =
  (handle: FileHandle, file: string): Read =>
  (position, length) =>
    naming(
      file,
      readFully(handle, new Uint8Array(length), position, () => invalidPickle(file, 'it was truncated while open'))
    )

const zipMagic = 0x04034b50
const legacyMagic = 0x1950a86a20f9469cfc6cn

/** An open file of `torch.save`: its structure is in memory, its tensors are read on request. */
export class TorchFile {
  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly read: Read,
    /** The saved object: Maps, arrays, Sets, TorchTensors, PickleRecords, and plain values. It may contain itself. */
    readonly root: unknown
  ) {}

  /** @throws {MactokError} `ERR_FORMAT` for other and damaged files; the system's error when it cannot be read */
  static async open(path: string): Promise<TorchFile> {
    const handle = await openToRead(path)
    try {
      const { size } = await handle.stat()
      const read = reader(handle, path)
      if ((await detectContent(handle, path)) === 'safetensors') throw invalidPickle(path, 'it is a safetensors file')
      const first = Buffer.from(await read(0, Math.min(4, size)))
      const zip = size >= 4 && first.readUInt32LE() === zipMagic
      return new TorchFile(path, handle, read, zip ? await readZip(path) : await readLegacy(path, size, read))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * A tensor of this file. Its bytes are read on request; strided elements are brought into row-major order.
   * @throws {MactokError} `ERR_FORMAT` for types that MacTok does not support
   */
  weight(name: string, tensor: TorchTensor): WeightTensor {
    const { dtype, shape, offset, storage, contiguous, count } = tensor
    if (!isWeightDtype(dtype)) {
      throw new MactokError('ERR_FORMAT', `Tensor "${name}" of ${this.path} has dtype ${dtype}`)
    }
    const start = storage.start()
    if (start === undefined) throw invalidPickle(this.path, `the storage of tensor "${name}" is missing`)
    const size = elementSize(dtype)
    const position = start + offset * size
    if (contiguous) {
      const bytes = () => this.read(position, count * size)
      return { dtype, shape, bytes, place: { path: this.path, offset: position } }
    }
    return { dtype, shape, bytes: () => this.gather(tensor, position) }
  }

  /** Reads a strided tensor in row-major order. */
  private async gather({ dtype, shape, strides, count }: TorchTensor, position: number): Promise<Uint8Array> {
    const size = elementSize(dtype)
    const result = new Uint8Array(count * size)
    if (count === 0) return result
    const span = shape.reduce((sum, length, axis) => sum + (length - 1) * (strides[axis] as number), 1)
    const source = await this.read(position, span * size)
    const index = shape.map(() => 0)
    for (let done = 0, from = 0; ; ) {
      for (let byte = 0; byte < size; byte++) result[done + byte] = source[from * size + byte] as number
      done += size
      if (done === result.length) return result
      let axis = shape.length - 1
      while ((index[axis] as number) + 1 === shape[axis]) {
        from -= (index[axis] as number) * (strides[axis] as number)
        index[axis--] = 0
      }
      index[axis] = (index[axis] as number) + 1
      from += strides[axis] as number
    }
  }

  /** Closes the file. Safe to call repeatedly. */
  close(): Promise<void> {
    return this.handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Parses `('storage', type, key, location, count, …)`. */
function parseStorageId(id: unknown, file: string): { dtype: string; key: string; count: number; view: unknown } {
  const [kind, type, key, , count, view] = Array.isArray(id) ? id : []
  const dtype = storageDtype(type)
  if (kind !== 'storage' || typeof key !== 'string' || !isSize(count) || dtype === undefined) {
    throw invalidPickle(file, 'it refers to an object of unknown kind')
  }
  if (!Number.isSafeInteger(count * elementSize(dtype))) throw invalidPickle(file, `storage ${key} is impossibly large`)
  return { dtype, key, count, view }
}

/** Whether an archive is one of `torch.jit.save`: a program, whose code no other archive has. */
async function isTorchScript(file: string): Promise<boolean> {
  const archive = await openPromise(file, { autoClose: false, lazyEntries: true }).catch(() => null)
  if (!archive) return false
  try {
    for await (const { fileName } of archive.eachEntry())
      if (/^[^/]+\/(constants\.pkl$|code\/)/.test(fileName)) return true
  } catch {
    // The archive is damaged, as LibTorch says.
  } finally {
    archive.close()
  }
  return false
}

async function readZip(file: string): Promise<unknown> {
  if (await isTorchScript(file)) {
    const remedy = 'load it in PyTorch and save its state_dict() with torch.save'
    throw new MactokError('ERR_FORMAT', `${file} is a TorchScript archive, a program: ${remedy}`)
  }
  const { records, pickle } = await native(addon().readTorchArchive(file, maxPickleBytes)).catch((cause: Error) => {
    if (cause instanceof MactokError && cause.code !== 'ERR_LIBTORCH') throw cause
    throw new MactokError('ERR_FORMAT', `${file} is not a valid PyTorch file: ${cause.message}`, { cause })
  })
  const byName = new Map(records.map((record) => [record.name, record]))
  const order = byName.get('byteorder')
  if (order && order.size !== 'little'.length) throw invalidPickle(file, 'it was written on a big-endian machine')
  const persistent = (id: unknown): TorchStorage => {
    const { dtype, key, count } = parseStorageId(id, file)
    const record = byName.get(`data/${key}`)
    const storage = new TorchStorage(dtype, count)
    if (!record) throw invalidPickle(file, `storage ${key} is missing`)
    if (record.size < storage.byteLength) {
      throw invalidPickle(file, `storage ${key} needs ${storage.byteLength} bytes and has ${record.size}`)
    }
    storage.position = record.offset
    return storage
  }
  return unpickle(pickle, { file, constructors: torchConstructors(file), persistent }).value
}

/**
 * Reads the format before PyTorch 1.6: pickles of magic number, protocol, system, object and storage keys, then each
 * storage's count and bytes.
 */
async function readLegacy(file: string, size: number, read: Read): Promise<unknown> {
  const bytes = await read(0, Math.min(size, maxPickleBytes))
  const storages = new Map<string, TorchStorage>()
  const persistent = (id: unknown): unknown => {
    // A saved module with its source code: ('module', class, file, source).
    if (Array.isArray(id) && id[0] === 'module') return id[1]
    const { dtype, key, count, view } = parseStorageId(id, file)
    const root = storages.get(key) ?? new TorchStorage(dtype, count)
    storages.set(key, root)
    if (!Array.isArray(view)) return root
    const [, offset, length] = view
    if (!isSize(offset) || !isSize(length) || offset + length > root.count) {
      throw invalidPickle(file, `a view extends beyond storage ${key}`)
    }
    return new TorchStorage(root.dtype, length, { storage: root, offset })
  }
  const options: PickleOptions = { file, constructors: torchConstructors(file), persistent }
  let position = 0
  const next = (): unknown => {
    const { value, end } = unpickle(bytes, options, position)
    position = end
    return value
  }
  if (bytes[0] !== 0x80 || next() !== legacyMagic) throw invalidPickle(file, 'it has neither format of torch.save')
  // The protocol version, always 1001.
  next()
  const system = next()
  if (system instanceof Map && system.get('little_endian') === false) {
    throw invalidPickle(file, 'it was written on a big-endian machine')
  }
  const root = next()
  const keys = next()
  if (!Array.isArray(keys)) throw invalidPickle(file, 'it has no list of storages')
  for (const key of keys) {
    const storage = storages.get(key)
    if (!storage || storage.position !== undefined) throw invalidPickle(file, 'its list of storages is wrong')
    if (position + 8 > size) throw invalidPickle(file, 'it is truncated')
    const head = Buffer.from(await read(position, 8))
    if (head.readBigInt64LE() !== BigInt(storage.count)) throw invalidPickle(file, `storage ${key} has another size`)
    storage.position = position + 8
    position = storage.position + storage.byteLength
    if (position > size) throw invalidPickle(file, 'it is truncated')
  }
  return root
}
