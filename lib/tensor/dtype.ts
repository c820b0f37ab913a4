import { invalidParameter } from '../errors.js'

/** Every dtype and the typed array of its elements. The two 16-bit floats are represented by their bits. */
export interface TypedArrays {
  float32: Float32Array
  float64: Float64Array
  float16: Uint16Array
  bfloat16: Uint16Array
  int64: BigInt64Array
  int32: Int32Array
  int16: Int16Array
  int8: Int8Array
  uint8: Uint8Array
  bool: Uint8Array
}

export type DType = keyof TypedArrays
export type TypedArray = TypedArrays[DType]

type Constructor<T> = { readonly BYTES_PER_ELEMENT: number; readonly name: string; new (buffer: ArrayBuffer): T }

const constructors: { [D in DType]: Constructor<TypedArrays[D]> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array
}

export const dtypes = Object.keys(constructors) as DType[]
const classNames = [...new Set(Object.values(constructors).map(({ name }) => name))]

/** Views a buffer as the dtype's typed array, without a copy. */
export const asTypedArray = <D extends DType>(dtype: D, buffer: ArrayBuffer): TypedArrays[D] =>
  new constructors[dtype](buffer)

/** The dtype of each array class; none for `Uint16Array`, which two dtypes share. */
const dtypeOfClass: Record<string, DType> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
  Buffer: 'uint8'
}

const className = (data: object): string => data.constructor.name

/** The dtype of `data`, checked against the requested one. */
export function dtypeOf(data: unknown, requested: DType | undefined): DType {
  if (!ArrayBuffer.isView(data) || !('BYTES_PER_ELEMENT' in data)) {
    throw invalidParameter('data', 'a typed array', data)
  }
  if (requested === undefined) {
    const name = className(data)
    const dtype = dtypeOfClass[name]
    if (dtype) return dtype
    if (name === 'Uint16Array') throw invalidParameter('dtype', 'float16 or bfloat16 with a Uint16Array', requested)
    throw invalidParameter('data', `one of ${classNames.join(', ')}`, name)
  }
  if (!dtypes.includes(requested)) throw invalidParameter('dtype', `one of ${dtypes.join(', ')}`, requested)
  const expected = constructors[requested].name
  const fits = className(data) === expected || (expected === 'Uint8Array' && dtypeOfClass[className(data)] === 'uint8')
  if (!fits) throw invalidParameter('data', `a ${expected} (dtype ${requested})`, className(data))
  return requested
}
