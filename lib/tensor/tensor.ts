import { text } from '../checks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import type { DeviceMemory, NativeTensor } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { fromNative, native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { asTypedArray, type DType, dtypeOf, dtypes, type TypedArrays } from './dtype.js'
import { track } from './scope.js'

/**
 * A LibTorch tensor: a handle to elements on a device.
 *
 * Handles are released by `dispose()`, by `using`, at the end of a `scope`, or by the garbage collector. Disposing a
 * handle leaves all other handles to the same elements valid.
 */
export class Tensor<D extends DType = DType> implements Disposable {
  readonly #native: NativeTensor

  private constructor(handle: NativeTensor) {
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

  get dtype(): D {
    return this.native.dtype as D
  }

  get shape(): readonly number[] {
    return this.native.shape
  }

  /** `cpu` or `cuda:0`. */
  get device(): string {
    return this.native.device
  }

  /** The number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1)
  }

  get disposed(): boolean {
    return this.#native.disposed
  }

  /** Copies the elements in row-major order; float16 and bfloat16 as their bits (see `toFloat32`). */
  async data(): Promise<TypedArrays[D]> {
    const { dtype } = this
    return asTypedArray(dtype, await native(this.native.read()))
  }

  /** Copies the elements as float32 numbers, whatever the dtype. */
  async toFloat32(): Promise<Float32Array> {
    using converted = await this.to({ dtype: 'float32', device: 'cpu' })
    return converted.data()
  }

  /** Copies the tensor to another device, converts it to another dtype, or both. */
  async to<T extends DType = D>(target: { device?: string; dtype?: T }): Promise<Tensor<T>> {
    const { device = this.device, dtype = this.dtype } = target
    if (!dtypes.includes(dtype)) throw invalidParameter('dtype', `one of ${dtypes.join(', ')}`, dtype)
    text('device', 'cpu, cuda, cuda:<index> or mps', device)
    return Tensor.wrap<T>(await native(translateErrors(() => this.native.to(device, dtype))))
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
}

function checkShape(shape: unknown, size: number): asserts shape is number[] {
  if (!Array.isArray(shape) || !shape.every((length) => Number.isInteger(length) && length >= 0)) {
    throw invalidParameter('shape', 'an array of non-negative integers', shape)
  }
  const count = shape.reduce((product, length) => product * length, 1)
  if (count !== size) throw outOfRange('shape', `a product of ${size}, the number of elements`, shape)
}

/** Runs a synchronous native call, turning its errors into ours. */
function translateErrors<T>(action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw fromNative(error)
  }
}

export interface TensorOptions<D extends DType> {
  /** Default: that of the array's class. Required for a Uint16Array and for bool. */
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
  { dtype, device = 'cpu' }: TensorOptions<DType> = {}
): Tensor {
  const type = dtypeOf(data, dtype)
  checkShape(shape, data.length)
  text('device', 'cpu, cuda, cuda:<index> or mps', device)
  return translateErrors(() => Tensor.wrap(addon().tensor(data, type, [...shape], device)))
}

/** Concatenates tensors of one dtype along the first dimension. */
export async function concatenate<D extends DType>(tensors: readonly Tensor<D>[]): Promise<Tensor<D>> {
  if (!Array.isArray(tensors) || tensors.length === 0 || !tensors.every((item) => item instanceof Tensor)) {
    throw invalidParameter('tensors', 'a non-empty array of tensors', tensors)
  }
  return Tensor.wrap<D>(await native(addon().cat(tensors.map((item) => item.native))))
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
