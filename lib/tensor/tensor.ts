import { inspect } from 'node:util'
import { instance, object, text } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import type { DeviceMemory, NativeTensor } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { fromNative, native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { asTypedArray, type DType, dtypeOf, dtypes, type TypedArrays } from './dtype.js'
import {
  type CloseOptions,
  clamp,
  close,
  concatenate as concatenateValues,
  expand,
  extremum,
  type InterpolateOptions,
  index,
  interpolate,
  matmul,
  type NormOptions,
  norm,
  permute,
  place,
  type ReduceOptions,
  reduce,
  reshape,
  type StdOptions,
  softmax,
  squeeze,
  stack as stackValues,
  std,
  transpose,
  unsqueeze,
  where
} from './operations.js'
import { EDGE, header, printTensor } from './print.js'
import { type Fractional, fractional, type Promoted, type Summed, summed, type WithNumber } from './promotion.js'
import { track } from './scope.js'
import { checkShape, countElements, resolveDims, type TensorIndex } from './shapes.js'
import {
  apply,
  compile,
  describe,
  numberValue,
  pair,
  refuseBool,
  requireFloating,
  requireWithin,
  type Value
} from './values.js'

/**
 * What operations take beside a tensor. Whole numbers keep integer dtypes: those that the dtype does not hold are compared
 * exactly, and refused by what computes or chooses with them.
 */
export type Operand = Operations | number | bigint

/** The dtype of an elementwise operation on a tensor and an operand. */
type With<D extends DType, O extends Operand> = O extends Typed<infer E> ? Promoted<D, E> : WithNumber<D>

/** Tells the dtype of an argument; inferring it from the class would consider the results of all its methods. */
type Typed<D extends DType> = Operations & { readonly dtype: D }

type Item<D extends DType> = D extends 'int64' ? bigint : D extends 'bool' ? boolean : number

/**
 * The operations of tensors, which are LibTorch's, without gradients. Each returns an `Expression`: nothing runs before
 * it is awaited, and then all of it runs as one job of the device's engine. Operands broadcast, and dtypes are promoted
 * as in PyTorch; a tensor without dimensions counts like any other. All are on one device.
 *
 * Wrong dtypes and devices throw TypeErrors, wrong shapes, dimensions and numbers RangeErrors, when an operation is called.
 */
export abstract class Operations<D extends DType = DType> {
  /** @internal */
  abstract get value(): Value
  abstract get dtype(): D
  abstract get shape(): readonly number[]
  /** `cpu` or `cuda:0`. */
  abstract get device(): string
  /** Copies the elements in row-major order; float16 and bfloat16 as their bits (see `toFloat32`). */
  abstract data(): Promise<TypedArrays[D]>

  /** The number of elements. */
  get size(): number {
    return countElements(this.shape)
  }

  /** Copies the elements as float32 numbers, whatever the dtype. */
  async toFloat32(): Promise<Float32Array> {
    // Not awaited as a tensor, so that it begins at once: the operands may be disposed by then.
    return this.to({ dtype: 'float32', device: 'cpu' }).data()
  }

  /** The only element; a bigint of int64, a boolean of bool. */
  async item(): Promise<Item<D>> {
    if (this.size !== 1) throw outOfRange('item', 'a tensor of one element', describe(this.value))
    const { dtype } = this
    const [element] = dtype === 'float16' || dtype === 'bfloat16' ? await this.toFloat32() : await this.data()
    return (dtype === 'bool' ? element === 1 : element) as Item<D>
  }

  /** On another device, in another dtype, or both; shares its elements when neither changes. */
  to<T extends DType = D>(target: { device?: string; dtype?: T }): Expression<T> {
    object('target', 'an object with device or dtype', target)
    const { device = this.device, dtype = this.dtype } = target
    if (!dtypes.includes(dtype)) throw invalidParameter('dtype', `one of ${dtypes.join(', ')}`, dtype)
    text('device', 'cpu, cuda, cuda:<index> or mps', device)
    return new Expression(apply('to', [this.value], [{ device }, { dtype }], { dtype, device: fullName(device) }))
  }

  /**
   * Elements and ranges of the first dimensions: `at(0)`, `at(-1, [0, 4])`, `at(null, [0, null, 2])`. An integer
   * removes its dimension, [start, end, step] keeps it, null stands for all of it. Negative ones count from the end.
   */
  at(...indices: readonly TensorIndex[]): Expression<D> {
    return new Expression(index(this.value, indices))
  }

  /** Reorders the dimensions. */
  permute(order: readonly number[]): Expression<D> {
    return new Expression(permute(this.value, order))
  }

  /** Exchanges two dimensions, by default the last two. */
  transpose(first = -2, second = -1): Expression<D> {
    return new Expression(transpose(this.value, first, second))
  }

  /** Removes dimensions of length 1: those given, or all. */
  squeeze(dims?: number | readonly number[]): Expression<D> {
    return new Expression(squeeze(this.value, dims))
  }

  /** Inserts a dimension of length 1. */
  unsqueeze(dim: number): Expression<D> {
    return new Expression(unsqueeze(this.value, dim))
  }

  /** Repeats dimensions of length 1, and adds some in front, to get this shape. */
  expand(shape: readonly number[]): Expression<D> {
    return new Expression(expand(this.value, shape))
  }

  /** Reverses dimensions. */
  flip(dims: number | readonly number[]): Expression<D> {
    return new Expression(apply('flip', [this.value], [resolveDims('dims', dims, this.shape.length)]))
  }

  add<O extends Operand>(other: O): Expression<With<D, O>> {
    return this.#with('add', other)
  }

  sub<O extends Operand>(other: O): Expression<With<D, O>> {
    refuseBool('sub', this.value)
    if (other instanceof Operations) refuseBool('other', other.value)
    return this.#with('sub', other)
  }

  mul<O extends Operand>(other: O): Expression<With<D, O>> {
    return this.#with('mul', other)
  }

  /** Quotients; of integers as float32. */
  div<O extends Operand>(other: O): Expression<Fractional<With<D, O>>> {
    return this.#with('div', other)
  }

  pow<O extends Operand>(other: O): Expression<With<D, O>> {
    if (this.dtype === 'bool' && other instanceof Operations) refuseBool('other', other.value)
    return this.#with('pow', other)
  }

  /** The smaller of each two elements. */
  minimum<O extends Operand>(other: O): Expression<With<D, O>> {
    return this.#with('minimum', other)
  }

  /** The larger of each two elements. */
  maximum<O extends Operand>(other: O): Expression<With<D, O>> {
    return this.#with('maximum', other)
  }

  eq(other: Operand): Expression<'bool'> {
    return this.#with('eq', other)
  }

  ne(other: Operand): Expression<'bool'> {
    return this.#with('ne', other)
  }

  lt(other: Operand): Expression<'bool'> {
    return this.#with('lt', other)
  }

  le(other: Operand): Expression<'bool'> {
    return this.#with('le', other)
  }

  gt(other: Operand): Expression<'bool'> {
    return this.#with('gt', other)
  }

  ge(other: Operand): Expression<'bool'> {
    return this.#with('ge', other)
  }

  /** Logical; every number but 0 is true. So are `or` and `not`. */
  and(other: Operand): Expression<'bool'> {
    return this.#with('and', other)
  }

  or(other: Operand): Expression<'bool'> {
    return this.#with('or', other)
  }

  not(): Expression<'bool'> {
    return this.#apply('not', 'bool')
  }

  /** Elements of `then` where this bool tensor is true, else those of `otherwise`. */
  where<A extends Operand, B extends Operand>(
    then: A,
    otherwise: B
  ): Expression<A extends Typed<infer E> ? With<E, B> : B extends Typed<infer E> ? With<E, A> : DType> {
    return new Expression(where(this.value, operand('then', then), operand('otherwise', otherwise)))
  }

  neg(): Expression<D> {
    refuseBool('neg', this.value)
    return this.#apply('neg', this.dtype)
  }

  abs(): Expression<D> {
    refuseBool('abs', this.value)
    return this.#apply('abs', this.dtype)
  }

  exp(): Expression<Fractional<D>> {
    return this.#fractional('exp')
  }

  /** Natural logarithm. */
  log(): Expression<Fractional<D>> {
    return this.#fractional('log')
  }

  sqrt(): Expression<Fractional<D>> {
    return this.#fractional('sqrt')
  }

  sin(): Expression<Fractional<D>> {
    return this.#fractional('sin')
  }

  cos(): Expression<Fractional<D>> {
    return this.#fractional('cos')
  }

  tanh(): Expression<Fractional<D>> {
    return this.#fractional('tanh')
  }

  sigmoid(): Expression<Fractional<D>> {
    return this.#fractional('sigmoid')
  }

  floor(): Expression<D> {
    refuseBool('floor', this.value)
    return this.#apply('floor', this.dtype)
  }

  ceil(): Expression<D> {
    refuseBool('ceil', this.value)
    return this.#apply('ceil', this.dtype)
  }

  /** To the nearest integer, and halves to the even one. */
  round(): Expression<D> {
    refuseBool('round', this.value)
    return this.#apply('round', this.dtype)
  }

  isNaN(): Expression<'bool'> {
    return this.#apply('isnan', 'bool')
  }

  isFinite(): Expression<'bool'> {
    return this.#apply('isfinite', 'bool')
  }

  /** Raises elements to `min` and lowers them to `max`; null for no bound. */
  clamp(min: number | null, max: number | null = null): Expression<WithNumber<D>> {
    return new Expression(clamp(this.value, min, max))
  }

  /** The sum over `dims`, by default over all; of integers as int64. */
  sum(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<Summed<D>> {
    checkOptions(options, { keepdim: true })
    return new Expression(reduce('sum', this.value, dims, options, summed(this.dtype)))
  }

  mean(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<D> {
    checkOptions(options, { keepdim: true })
    requireFloating('mean', this.value)
    return new Expression(reduce('mean', this.value, dims, options))
  }

  /** Standard deviation, of a sample unless `correction` is 0. */
  std(dims?: number | readonly number[], options: StdOptions = {}): Expression<D> {
    return new Expression(std(this.value, dims, options))
  }

  /** (Σ |x|^p)^(1/p), with p = `order`. */
  norm(dims?: number | readonly number[], options: NormOptions = {}): Expression<D> {
    return new Expression(norm(this.value, dims, options))
  }

  /** The smallest element over `dims`, by default of all; NaN if there is one. */
  min(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<D> {
    return new Expression(extremum('min', this.value, dims, options))
  }

  /** The largest element over `dims`, by default of all; NaN if there is one. */
  max(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<D> {
    return new Expression(extremum('max', this.value, dims, options))
  }

  /** The place of the smallest element along `dim`, or among all in row-major order. */
  argmin(dim?: number, options: ReduceOptions = {}): Expression<'int64'> {
    return new Expression(place('argmin', this.value, dim, options))
  }

  /** The place of the largest element along `dim`, or among all in row-major order. */
  argmax(dim?: number, options: ReduceOptions = {}): Expression<'int64'> {
    return new Expression(place('argmax', this.value, dim, options))
  }

  /** Whether any element over `dims` is not 0. */
  any(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<'bool'> {
    checkOptions(options, { keepdim: true })
    return new Expression(reduce('any', this.value, dims, options, 'bool'))
  }

  /** Whether no element over `dims` is 0. */
  all(dims?: number | readonly number[], options: ReduceOptions = {}): Expression<'bool'> {
    checkOptions(options, { keepdim: true })
    return new Expression(reduce('all', this.value, dims, options, 'bool'))
  }

  /** Matrix product [..., n, k] × [..., k, m]; vectors are rows on the left and columns on the right. */
  matmul<E extends DType>(other: Typed<E>): Expression<Promoted<D, E>> {
    return new Expression(matmul(this.value, tensorOperand(other)))
  }

  softmax(dim: number): Expression<D> {
    return new Expression(softmax(this.value, dim))
  }

  /** Resizes images [B, C, H, W] to `size`, [height, width]; corners are not aligned, as in PyTorch by default. */
  interpolate(size: readonly [height: number, width: number], options: InterpolateOptions = {}): Expression<D> {
    return new Expression(interpolate(this.value, size, options))
  }

  /** Whether |this − other| ≤ atol + rtol · |other| everywhere. */
  async allClose(other: Operations, options: CloseOptions = {}): Promise<boolean> {
    return new Expression<'bool'>(close(this.value, tensorOperand(other), options)).all().item()
  }

  #with<E extends DType>(operation: string, other: Operand): Expression<E> {
    return new Expression(pair(operation, this.value, operand('other', other)))
  }

  #fractional<E extends DType>(operation: string): Expression<E> {
    return this.#apply(operation, fractional(this.dtype))
  }

  #apply<E extends DType>(operation: string, dtype: DType): Expression<E> {
    return new Expression(apply(operation, [this.value], [], { dtype }))
  }
}

/**
 * A computation on tensors that runs when it is awaited, each time anew where it is part of another one. Its result is a
 * new tensor; what it computes on the way is freed at once.
 */
export class Expression<D extends DType = DType> extends Operations<D> implements Promise<Tensor<D>> {
  readonly [Symbol.toStringTag] = 'Expression'
  readonly #value: Value
  #result: Promise<Tensor<D>> | undefined

  /** @internal */
  constructor(value: Value) {
    super()
    this.#value = value
  }

  /** @internal */
  get value(): Value {
    return this.#value
  }

  get dtype(): D {
    return this.#value.dtype as D
  }

  get shape(): readonly number[] {
    return this.#value.shape
  }

  get device(): string {
    return this.#value.device as string
  }

  /** The same elements in another shape of the same size. */
  reshape(shape: readonly number[]): Expression<D> {
    return new Expression(reshape(this.#value, shape))
  }

  async data(): Promise<TypedArrays[D]> {
    using result = await this.#compute()
    return result.data()
  }

  async #compute(): Promise<Tensor<D>> {
    const { tensors, steps, device } = compile(this.#value)
    return Tensor.wrap(await native(translateErrors(() => addon().compute(tensors, steps, device))))
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<T = Tensor<D>, F = never>(
    done?: ((result: Tensor<D>) => T | PromiseLike<T>) | null,
    failed?: ((reason: unknown) => F | PromiseLike<F>) | null
  ): Promise<T | F> {
    this.#result ??= this.#compute()
    return this.#result.then(done, failed)
  }

  catch<F = never>(failed?: ((reason: unknown) => F | PromiseLike<F>) | null): Promise<Tensor<D> | F> {
    return this.then(null, failed)
  }

  finally(last?: (() => void) | null): Promise<Tensor<D>> {
    return this.then().finally(last)
  }

  [inspect.custom](): string {
    return header('Expression', this)
  }
}

/**
 * A LibTorch tensor: a handle to elements on a device.
 *
 * Handles are released by `dispose()`, by `using`, at the end of a `scope`, or by the garbage collector. Disposing a
 * handle leaves all other handles to the same elements valid.
 */
export class Tensor<D extends DType = DType> extends Operations<D> implements Disposable {
  readonly #native: NativeTensor

  private constructor(handle: NativeTensor) {
    super()
    this.#native = handle
    track(this)
  }

  /** @internal */
  static wrap<D extends DType>(handle: NativeTensor): Tensor<D> {
    return new Tensor<D>(handle)
  }

  /** @internal The native handle. Throws ERR_DISPOSED after `dispose()`. */
  get native(): NativeTensor {
    if (this.#native.disposed) throw new MactokError('ERR_DISPOSED', 'This tensor is disposed')
    return this.#native
  }

  /** @internal */
  get value(): Value {
    const { dtype, shape, device } = this
    return { dtype, shape, device, source: { tensor: () => this.native } }
  }

  get dtype(): D {
    return this.native.dtype as D
  }

  get shape(): readonly number[] {
    return this.native.shape
  }

  get device(): string {
    return this.native.device
  }

  get disposed(): boolean {
    return this.#native.disposed
  }

  async data(): Promise<TypedArrays[D]> {
    const { dtype } = this
    return asTypedArray(dtype, await native(this.native.read()))
  }

  /** A view of rows [start, end) of the first dimension. */
  slice(start: number, end: number): Tensor<D> {
    const rows = this.shape[0]
    if (rows === undefined) throw outOfRange('slice', 'a tensor with at least one dimension', this.shape)
    if (!Number.isInteger(start) || start < 0 || start > rows) throw outOfRange('start', `0 to ${rows}`, start)
    if (!Number.isInteger(end) || end < start || end > rows) throw outOfRange('end', `${start} to ${rows}`, end)
    return translateErrors(() => Tensor.wrap<D>(this.native.slice(start, end)))
  }

  /** The same elements in another shape of the same size. */
  reshape(shape: readonly number[]): Tensor<D> {
    checkShape(shape, this.size)
    return translateErrors(() => Tensor.wrap<D>(this.native.reshape([...shape])))
  }

  /** Releases this handle. Safe to call repeatedly. */
  dispose(): void {
    this.#native.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  [inspect.custom](depth: number): string {
    if (this.disposed) return 'Tensor (disposed)'
    if (depth < 0) return `[${header('Tensor', this)}]`
    return printTensor(this, addon().peek(this.native, EDGE))
  }
}

/** Runs a synchronous native call, turning its errors into ours. */
function translateErrors<T>(action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw fromNative(error)
  }
}

/** The name that LibTorch gives a device: `cuda` is `cuda:0`. */
const fullName = (device: string): string => (device === 'cpu' || device.includes(':') ? device : `${device}:0`)

function operand(name: string, value: Operand): Value {
  if (value instanceof Operations) return value.value
  if (typeof value !== 'number' && typeof value !== 'bigint')
    throw invalidParameter(name, 'a tensor or a number', value)
  const number = numberValue(value)
  requireWithin(name, number, 'int64')
  return number
}

function tensorOperand(value: Operations): Value {
  instance('other', 'a tensor', Operations, value)
  return value.value
}

export interface TensorOptions<D extends DType> {
  /** Default: that of the array's class. Required for a Uint16Array, and for bool, of which every byte but 0 is true. */
  dtype?: D
  /** `cpu` (default), `cuda`, `cuda:<index>` or `mps`. */
  device?: string
}

/** The default dtype of each array class. */
interface DTypeOfClass {
  Float32Array: 'float32'
  Float64Array: 'float64'
  BigInt64Array: 'int64'
  Int32Array: 'int32'
  Int16Array: 'int16'
  Int8Array: 'int8'
  Uint8Array: 'uint8'
}

type DTypeOfArray<A> = A extends { readonly [Symbol.toStringTag]: infer Name extends keyof DTypeOfClass }
  ? DTypeOfClass[Name]
  : DType

/**
 * Creates a tensor with a copy of `data`, which may be changed or detached afterwards.
 * @param shape - sizes whose product is the array's length. Default: one dimension
 */
export function tensor<A extends TypedArrays[DType]>(
  data: A,
  shape?: readonly number[],
  options?: { dtype?: undefined; device?: string }
): Tensor<DTypeOfArray<A>>
export function tensor<D extends DType>(
  data: TypedArrays[D],
  shape: readonly number[] | undefined,
  options: TensorOptions<D> & { dtype: D }
): Tensor<D>
export function tensor(
  data: TypedArrays[DType],
  shape: readonly number[] = [data?.length],
  options: TensorOptions<DType> = {}
): Tensor {
  object('options', 'an object', options)
  const { dtype, device = 'cpu' } = options
  const type = dtypeOf(data, dtype)
  checkShape(shape, data.length)
  text('device', 'cpu, cuda, cuda:<index> or mps', device)
  // In C++ the behaviour of a bool that is another byte is undefined.
  const elements = type === 'bool' ? (data as Uint8Array).map((byte) => (byte === 0 ? 0 : 1)) : data
  return translateErrors(() => Tensor.wrap(addon().tensor(elements, type, [...shape], device)))
}

/** Joins tensors of one dtype along a dimension, the first one by default. */
export function concatenate<D extends DType>(tensors: readonly Typed<D>[], dim = 0): Expression<D> {
  return new Expression(concatenateValues(valuesOf(tensors), dim))
}

/** Joins tensors of one dtype and shape along a new dimension, the first one by default. */
export function stack<D extends DType>(tensors: readonly Typed<D>[], dim = 0): Expression<D> {
  return new Expression(stackValues(valuesOf(tensors), dim))
}

function valuesOf(tensors: unknown): [Value, ...Value[]] {
  if (
    !Array.isArray(tensors) ||
    tensors.length === 0 ||
    tensors.includes(undefined) ||
    !tensors.every((item) => item instanceof Operations)
  ) {
    throw invalidParameter('tensors', 'a non-empty array of tensors', tensors)
  }
  return tensors.map((item: Operations) => item.value) as [Value, ...Value[]]
}

/**
 * What is alive in this thread: tensor handles, the bytes behind them (each storage counted once), and the bytes of
 * networks.
 */
export const memory = (): { tensors: number; bytes: number; modelBytes: number } => addon().memory()

/**
 * Memory of a CUDA device; null for the CPU.
 * @param device - `auto` (default), `cpu`, `cuda`, `cuda:<index>` or `mps`
 */
export async function deviceMemory(device?: string): Promise<DeviceMemory | null> {
  const name = resolveDevice(device)
  return native(addon().deviceMemory(name))
}
