/** Element types of safetensors files, and the conversions that need no LibTorch. */

import { invalidParameter, outOfRange } from '../errors.js'

/** The element types that MacTok reads and writes. */
export type WeightDtype =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'

/** Bytes per element, by the format's name, in the order of the reference writer: later types come first in a file. */
const formatSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8
} as const

/** An element type as a safetensors header spells it. */
export type FormatDtype = keyof typeof formatSizes

const formatOf: Record<WeightDtype, FormatDtype> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL'
}

const byFormat = new Map(Object.entries(formatOf).map(([dtype, format]) => [format, dtype as WeightDtype]))
const order = Object.keys(formatSizes)

export const isFormatDtype = (name: unknown): name is FormatDtype =>
  typeof name === 'string' && Object.hasOwn(formatSizes, name)
export const isWeightDtype = (name: unknown): name is WeightDtype =>
  typeof name === 'string' && Object.hasOwn(formatOf, name)

export const formatSize = (format: FormatDtype): number => formatSizes[format]
export const formatRank = (format: FormatDtype): number => order.indexOf(format)
export const toFormat = (dtype: WeightDtype): FormatDtype => formatOf[dtype]
/** Undefined for types that MacTok does not support (8-bit floats, unsigned 16 to 64 bits, complex). */
export const fromFormat = (format: FormatDtype): WeightDtype | undefined => byFormat.get(format)
export const dtypeSize = (dtype: WeightDtype): number => formatSizes[formatOf[dtype]]

const word = new Float32Array(1)
const bits = new Uint32Array(word.buffer)

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction
}

let halfTable: Float32Array | undefined

/** Shifts right, rounding to nearest, ties to even. */
const roundShift = (value: number, shift: number): number => {
  const half = 2 ** (shift - 1)
  const floor = value >>> shift
  const rest = value & (2 * half - 1)
  return rest > half || (rest === half && floor & 1) ? floor + 1 : floor
}

function floatToHalf(value: number): number {
  word[0] = value
  const pattern = bits[0] as number
  const sign = (pattern >>> 16) & 0x8000
  const exponent = ((pattern >>> 23) & 255) - 127
  const fraction = pattern & 0x7fffff
  if (exponent === 128) return sign | 0x7c00 | (fraction ? 0x200 : 0)
  if (exponent > 15) return sign | 0x7c00
  // A carry out of the fraction increments the exponent, up to infinity, which is correct rounding.
  if (exponent >= -14) return sign | (((exponent + 15) << 10) + roundShift(fraction, 13))
  if (exponent < -25) return sign
  return sign | roundShift(fraction | 0x800000, -exponent - 1)
}

function floatToBfloat(value: number): number {
  word[0] = value
  const pattern = bits[0] as number
  if ((pattern & 0x7fffffff) > 0x7f800000) return (pattern >>> 16) | 0x40
  return roundShift(pattern, 16)
}

/** The bytes of a view, without copying. */
export const asBytes = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** The bytes themselves if they are aligned to `size`, else a copy. */
const align = (bytes: Uint8Array, size: number): Uint8Array => (bytes.byteOffset % size === 0 ? bytes : bytes.slice())

/** Bits of the exponent, all of which are set where a value is infinite or no number. */
const exponents: Partial<Record<WeightDtype, number>> = {
  float64: 0x7ff00000,
  float32: 0x7f800000,
  float16: 0x7c00,
  bfloat16: 0x7f80
}

/** Whether all elements are finite; integers are. */
export function areFinite(bytes: Uint8Array, dtype: WeightDtype): boolean {
  const mask = exponents[dtype]
  if (mask === undefined) return true
  const size = Math.min(4, dtypeSize(dtype))
  const { buffer, byteOffset, byteLength } = align(bytes, size)
  const count = byteLength / size
  const words = size === 2 ? new Uint16Array(buffer, byteOffset, count) : new Uint32Array(buffer, byteOffset, count)
  // The exponent of a float64 lies in its second word.
  const stride = dtypeSize(dtype) / size
  for (let i = stride - 1; i < words.length; i += stride) if (((words[i] as number) & mask) === mask) return false
  return true
}

/**
 * Converts elements to float32: a view for `float32`, else a copy.
 * @throws {RangeError} for integer types, which float32 cannot represent exactly
 */
export function toFloat32(bytes: Uint8Array, dtype: WeightDtype): Float32Array {
  if (!(bytes instanceof Uint8Array)) throw invalidParameter('bytes', 'a Uint8Array', bytes)
  if (!isWeightDtype(dtype)) throw invalidParameter('dtype', 'a dtype of weights', dtype)
  const source = align(bytes, dtypeSize(dtype))
  const { buffer, byteOffset } = source
  const count = source.byteLength / dtypeSize(dtype)
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, count)
    case 'float64':
      return new Float32Array(new Float64Array(buffer, byteOffset, count))
    case 'float16': {
      halfTable ??= Float32Array.from({ length: 65536 }, (_, half) => halfToFloat(half))
      const halves = new Uint16Array(buffer, byteOffset, count)
      const values = new Float32Array(count)
      for (let i = 0; i < count; i++) values[i] = halfTable[halves[i] as number] as number
      return values
    }
    case 'bfloat16': {
      const words = new Uint32Array(new Uint16Array(buffer, byteOffset, count))
      for (let i = 0; i < count; i++) words[i] = (words[i] as number) << 16
      return new Float32Array(words.buffer)
    }
    default:
      throw outOfRange('dtype', 'a floating-point type', dtype)
  }
}

/**
 * Converts float32 values to another floating-point type (to nearest, ties to even, as PyTorch does): a view for
 * `float32`.
 */
export function fromFloat32(values: Float32Array, dtype: WeightDtype): Uint8Array {
  if (!(values instanceof Float32Array)) throw invalidParameter('values', 'a Float32Array', values)
  switch (dtype) {
    case 'float32':
      return asBytes(values)
    case 'float64':
      return asBytes(new Float64Array(values))
    case 'float16':
    case 'bfloat16': {
      const convert = dtype === 'float16' ? floatToHalf : floatToBfloat
      const words = new Uint16Array(values.length)
      for (let i = 0; i < words.length; i++) words[i] = convert(values[i] as number)
      return asBytes(words)
    }
    default:
      throw outOfRange('dtype', 'a floating-point type', dtype)
  }
}
