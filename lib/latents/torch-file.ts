/**
 * Writes files that `torch.load(…, weights_only=True)` reads as a dict of float32 tensors: an uncompressed zip with a
 * small pickle and one record per tensor, as PyTorch writes them (serialization version 3). Needs no PyTorch, because
 * the pickle always consists of the same few opcodes.
 */

import { crc32 } from '../files/crc32.js'
import { asBytes } from '../weights/dtype.js'

export interface TorchTensor {
  shape: readonly number[]
  values: Float32Array
}

/** Encodes little-endian fields of 2 or 4 bytes, given as [value, size] pairs. */
function record(...fields: (readonly [value: number, size: 2 | 4])[]): Buffer {
  return Buffer.concat(
    fields.map(([value, size]) => {
      const bytes = Buffer.alloc(size)
      bytes.writeUIntLE(value, 0, size)
      return bytes
    })
  )
}

/** Builds a zip of uncompressed records, dated 1980-01-01 so that equal content gives equal bytes. */
function buildZip(records: readonly (readonly [name: string, bytes: Uint8Array])[]): Buffer {
  const body: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const [name, bytes] of records) {
    const path = Buffer.from(name)
    // Version 2.0, no flags, stored, time 0, date 1980-01-01.
    const common = [
      [20, 2],
      [0, 2],
      [0, 2],
      [0, 2],
      [0x21, 2],
      [crc32(bytes), 4],
      [bytes.length, 4],
      [bytes.length, 4],
      [path.length, 2],
      [0, 2]
    ] as const
    const local = Buffer.concat([record([0x04034b50, 4], ...common), path])
    directory.push(record([0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]), path)
    body.push(local, bytes)
    offset += local.length + bytes.length
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0)
  const end = record(
    [0x06054b50, 4],
    [0, 2],
    [0, 2],
    [records.length, 2],
    [records.length, 2],
    [size, 4],
    [offset, 4],
    [0, 2]
  )
  return Buffer.concat([...body, ...directory, end])
}

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from('X'), record([Buffer.byteLength(value), 4]), Buffer.from(value)])
const integer = (value: number): Buffer => Buffer.concat([Buffer.from('J'), record([value, 4])])
const tuple = (items: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')])
const pythonName = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`)

/**
 * Pickles `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`, the storage as
 * persistent id.
 */
function pickleTensor({ shape, values }: TorchTensor, key: string): Buffer {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1))
  const storage = [text('storage'), pythonName('torch', 'FloatStorage'), text(key), text('cpu'), integer(values.length)]
  const hooks = Buffer.concat([pythonName('collections', 'OrderedDict'), Buffer.from(')R')])
  const requiresGrad = Buffer.from([0x89])
  const args = [
    Buffer.concat([tuple(storage), Buffer.from('Q')]),
    integer(0),
    tuple(shape.map(integer)),
    tuple(strides.map(integer)),
    requiresGrad,
    hooks
  ]
  return Buffer.concat([pythonName('torch._utils', '_rebuild_tensor_v2'), tuple(args), Buffer.from('R')])
}

/** The bytes of `torch.save({name: tensor, …})`. */
export function torchFile(tensors: Readonly<Record<string, TorchTensor>>): Uint8Array {
  const entries = Object.entries(tensors)
  const items = entries.map(([name, tensor], i) => Buffer.concat([text(name), pickleTensor(tensor, `${i}`)]))
  // PROTO 2, EMPTY_DICT, MARK, …, SETITEMS, STOP
  const pickle = Buffer.concat([Buffer.from([0x80, 2]), Buffer.from('}('), ...items, Buffer.from('u.')])
  return buildZip([
    ['archive/data.pkl', pickle],
    ['archive/byteorder', Buffer.from('little')],
    ...entries.map(([, { values }], i) => [`archive/data/${i}`, asBytes(values)] as const),
    ['archive/version', Buffer.from('3\n')]
  ])
}
