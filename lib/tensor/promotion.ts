import type { DType } from './dtype.js'

/** Each dtype and those that hold all its values or come closest, the narrowest first, as in PyTorch. */
const widening = {
  bool: ['bool', 'uint8', 'int8', 'int16', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'],
  uint8: ['uint8', 'int16', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'],
  int8: ['int8', 'int16', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'],
  int16: ['int16', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'],
  int32: ['int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'],
  int64: ['int64', 'float16', 'bfloat16', 'float32', 'float64'],
  float16: ['float16', 'float32', 'float64'],
  bfloat16: ['bfloat16', 'float32', 'float64'],
  float32: ['float32', 'float64'],
  float64: ['float64']
} as const satisfies Record<DType, readonly DType[]>

/** The smallest and the largest number of each integer dtype. */
const ranges: Partial<Record<DType, readonly [bigint, bigint]>> = {
  uint8: [0n, 2n ** 8n - 1n],
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n]
}

type Widening = typeof widening
type FirstCommon<L, M> = L extends readonly [infer First, ...infer Rest]
  ? First extends M
    ? First
    : FirstCommon<Rest, M>
  : never

export type Floating = 'float32' | 'float64' | 'float16' | 'bfloat16'

/** The dtype of two tensors' sum: the narrowest that both widen to. */
export type Promoted<A extends DType, B extends DType> = Extract<FirstCommon<Widening[A], Widening[B][number]>, DType>
/** The dtype of a tensor plus a number: a fraction makes integers float32. */
export type WithNumber<D extends DType> = D extends Floating ? D : 'float32' | (D extends 'bool' ? 'int64' : D)
/** The dtype of quotients, exponentials and so on: those of integers are float32. */
export type Fractional<D extends DType> = D extends Floating ? D : 'float32'
/** The dtype of sums: those of integers and booleans are int64. */
export type Summed<D extends DType> = D extends Floating ? D : 'int64'

export const isFloating = (dtype: DType): dtype is Floating => /float/.test(dtype)

/** Whether a number keeps integer dtypes: fractions and numbers beyond int64 do not. */
export const isWhole = (number: number | bigint): boolean =>
  typeof number === 'bigint' ||
  (Number.isInteger(number) && number >= -(2 ** 63) && number < 2 ** 63 && !Object.is(number, -0))

/** A number as the addon takes it: whole ones as bigints, so that they keep all digits. */
export const exact = (number: number | bigint): number | bigint => (isWhole(number) ? BigInt(number) : number)

/** The smallest and the largest number of an integer dtype that does not hold this one; undefined where it does. */
export function exceededRange(dtype: DType, number: number | bigint): readonly [bigint, bigint] | undefined {
  const range = ranges[dtype]
  return range && isWhole(number) && (number < range[0] || number > range[1]) ? range : undefined
}

export function promote(a: DType, b: DType): DType {
  const wider: readonly DType[] = widening[b]
  return widening[a].find((dtype) => wider.includes(dtype)) as DType
}

export function withNumber(dtype: DType, number: number | bigint): DType {
  if (isFloating(dtype)) return dtype
  if (!isWhole(number)) return 'float32'
  return dtype === 'bool' ? 'int64' : dtype
}

export const fractional = (dtype: DType): DType => (isFloating(dtype) ? dtype : 'float32')
export const summed = (dtype: DType): DType => (isFloating(dtype) ? dtype : 'int64')
