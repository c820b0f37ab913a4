/** PyTorch's tensors as pickles describe them: views of storages in a file. */

import { invalidPickle, type PickleConstructor, PickleGlobal, PickleRecord } from './pickle.js'

/** Bytes per element, by the names of `torch.dtype`. */
const elementSizes: Readonly<Record<string, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  float8_e4m3fn: 1,
  float8_e5m2: 1,
  float8_e4m3fnuz: 1,
  float8_e5m2fnuz: 1,
  float8_e8m0fnu: 1,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint64: 8,
  uint32: 4,
  uint16: 2,
  uint8: 1,
  bool: 1,
  complex128: 16,
  complex64: 8,
  complex32: 4,
  qint32: 4,
  qint8: 1,
  quint8: 1
}

const storageDtypes: Readonly<Record<string, string>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexFloatStorage: 'complex64',
  ComplexDoubleStorage: 'complex128',
  QInt8Storage: 'qint8',
  QUInt8Storage: 'quint8',
  QInt32Storage: 'qint32',
  UntypedStorage: 'uint8'
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

/** The element type of a storage class such as `torch.FloatStorage`. */
export function storageDtype(type: unknown): string | undefined {
  if (!(type instanceof PickleGlobal) || !/^torch(\.cuda|\.storage)?\.\w+$/.test(type.name)) return undefined
  const name = lastPart(type.name)
  return Object.hasOwn(storageDtypes, name) ? storageDtypes[name] : undefined
}

export const elementSize = (dtype: string): number => elementSizes[dtype] as number

/** Consecutive elements in a file. */
export class TorchStorage {
  /** Offset of its first byte in the file; unknown until a file of the legacy format has been read to its end. */
  position: number | undefined

  /** @param within - the storage that contains this one, from element `offset` on (legacy format) */
  constructor(
    readonly dtype: string,
    readonly count: number,
    readonly within?: { storage: TorchStorage; offset: number }
  ) {}

  get byteLength(): number {
    return this.count * elementSize(this.dtype)
  }

  /** Offset of its first byte in the file, for parts of other storages as well. */
  start(): number | undefined {
    if (!this.within) return this.position
    const { storage, offset } = this.within
    const outer = storage.start()
    return outer === undefined ? undefined : outer + offset * elementSize(this.dtype)
  }
}

/** A strided view of a storage, checked to lie within it. */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly dtype: string,
    /** In elements, like the strides. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[]
  ) {}

  get count(): number {
    return this.shape.reduce((product, size) => product * size, 1)
  }

  /** Whether the elements are consecutive, in row-major order. */
  get contiguous(): boolean {
    let expected = 1
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const size = this.shape[axis] as number
      if (size !== 1 && this.strides[axis] !== expected) return false
      expected *= size
    }
    return true
  }
}

const maxRank = 64
/** Limit on the elements of an expanded tensor, which repeats few: beyond this it is an attack on memory. */
const maxExpanded = 2 ** 26

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= maxRank && value.every(isSize)
}

/** Our constructors for what pickles of tensors and state dicts call. `file` names the file in errors. */
export function torchConstructors(file: string): ReadonlyMap<string, PickleConstructor> {
  const fail = (problem: string) => invalidPickle(file, problem)

  function tensor(storage: unknown, offset: unknown, shape: unknown, strides: unknown, type?: unknown): TorchTensor {
    if (!(storage instanceof TorchStorage)) throw fail('a tensor has no storage')
    if (!isSize(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length) {
      throw fail('a tensor has an impossible shape')
    }
    const dtype = type instanceof PickleGlobal ? lastPart(type.name) : storage.dtype
    if (!Object.hasOwn(elementSizes, dtype)) throw fail(`a tensor has the unknown dtype ${dtype}`)
    const capacity = Math.floor(storage.byteLength / elementSize(dtype))
    const count = shape.reduce((product, size) => product * size, 1)
    const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] as number), offset)
    if (!Number.isSafeInteger(count) || (count > 0 && !(last < capacity))) {
      throw fail(`a tensor [${shape}] extends beyond its storage of ${capacity} elements`)
    }
    if (count > Math.max(capacity, maxExpanded)) {
      throw fail(`a tensor [${shape}] repeats the ${capacity} elements of its storage ${count} times`)
    }
    return new TorchTensor(storage, dtype, offset, shape, strides)
  }

  function map([entries = []]: readonly unknown[], spend: (elements: number) => void): Map<unknown, unknown> {
    if (entries instanceof Map) {
      spend(entries.size)
      return new Map(entries)
    }
    if (!Array.isArray(entries)) throw fail('a dict is made of something other than entries')
    spend(entries.length)
    for (const entry of entries) {
      if (!Array.isArray(entry) || entry.length !== 2) throw fail('a dict is made of something other than entries')
    }
    return new Map(entries)
  }

  function set([items = []]: readonly unknown[], spend: (elements: number) => void): Set<unknown> {
    if (!Array.isArray(items)) throw fail('a set is made of something other than a list')
    spend(items.length)
    return new Set(items)
  }

  // Lists and tuples are never changed here, so they need not be copied.
  const identity: PickleConstructor = ([items = []]) => items
  const device: PickleConstructor = ([type, index]) =>
    typeof type === 'string' && type.length <= 32 && typeof index === 'number' ? `${type}:${index}` : type
  const builtins: [string, PickleConstructor][] = [
    ['dict', map],
    ['set', set],
    ['frozenset', set],
    ['list', identity],
    ['tuple', identity]
  ]
  /** Subclasses of tensors, and tensors with attributes, become plain tensors. */
  const fromType: PickleConstructor = (args, spend) => {
    const [rebuild, , inner] = args
    const make = rebuild instanceof PickleGlobal ? tensors.get(rebuild.name) : undefined
    return make && Array.isArray(inner)
      ? make(inner, spend)
      : new PickleRecord('torch._tensor._rebuild_from_type_v2', args)
  }
  const tensors = new Map<string, PickleConstructor>([
    ['torch._utils._rebuild_tensor', ([storage, offset, shape, strides]) => tensor(storage, offset, shape, strides)],
    ['torch._utils._rebuild_tensor_v2', ([storage, offset, shape, strides]) => tensor(storage, offset, shape, strides)],
    [
      'torch._utils._rebuild_tensor_v3',
      ([storage, offset, shape, strides, , , dtype]) => tensor(storage, offset, shape, strides, dtype)
    ],
    ['torch._utils._rebuild_parameter', ([data]) => data],
    ['torch._utils._rebuild_parameter_with_state', ([data]) => data]
  ])
  return new Map<string, PickleConstructor>([
    ...tensors,
    ['torch._tensor._rebuild_from_type_v2', fromType],
    ['torch.Size', identity],
    ['torch.device', device],
    ['collections.OrderedDict', map],
    ...builtins.flatMap(([name, make]): [string, PickleConstructor][] => [
      [`builtins.${name}`, make],
      [`__builtin__.${name}`, make]
    ])
  ])
}
