/** Tensors, what all networks share, and random numbers. */

export type Precision = 'fp32' | 'tf32' | 'bf16'

/** A handle to a LibTorch tensor. */
export interface NativeTensor {
  readonly dtype: string
  readonly shape: number[]
  readonly device: string
  readonly disposed: boolean
  /** A copy of the elements in row-major order. */
  read(): Promise<ArrayBuffer>
  /** A copy on another device, in another dtype, or both; shares the storage when neither changes. */
  to(device: string, dtype: string): Promise<NativeTensor>
  /** Rows [start, end) of the first dimension, as a view. */
  slice(start: number, end: number): NativeTensor
  /** The same elements in another shape, as a view. */
  reshape(shape: number[]): NativeTensor
  /** This · scale + shift, both broadcast: computed in float64, rounded once to this tensor's dtype. */
  affine(scale: NativeTensor, shift: NativeTensor): Promise<NativeTensor>
  /** Whether no element is NaN or infinite. */
  isFinite(): Promise<boolean>
  /** `isFinite` and the CRC-32C of the elements' bytes in one pass; for tensors in this machine's memory whose elements follow each other. */
  check(): Promise<{ isFinite: boolean; crc32c: number }>
  dispose(): void
}

export type NativeState = Record<string, NativeTensor>

/** What all networks offer. */
export interface NativeModule {
  readonly device: string
  /** The parameters by name, as live views. */
  state(): NativeState
  /** Copies values into the parameters, converting dtype and device. Names and shapes must match exactly. */
  load(state: NativeState): Promise<void>
  dispose(): void
}

export type NativeOption =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly number[]
  | { device: string }
  | { dtype: string }

/** One operation of native/bindings/operations.cpp. */
export interface NativeStep {
  operation: string
  /** Numbers of the tensors, and after them of the earlier steps. */
  inputs: readonly number[]
  options: readonly NativeOption[]
}

export interface TensorFunctions {
  /** Copies the view's bytes before it returns. */
  tensor(data: ArrayBufferView, dtype: string, shape: number[], device: string): NativeTensor
  /** Runs the steps on the device's engine; the last one's value, contiguous. */
  compute(tensors: NativeTensor[], steps: NativeStep[], device: string): Promise<NativeTensor>
  /**
   * The first and last `edge` elements of every longer dimension: int64 if the tensor is, else float64. Null where the
   * elements are not on the CPU.
   */
  peek(tensor: NativeTensor, edge: number): ArrayBuffer | null
  /** Draws `rows × columns` uniforms in [0, 1), row-major: row i is a function of (seed, stream, step, firstIndex + i). */
  uniform(seed: number, stream: string, step: number, firstIndex: number, rows: number, columns: number): Float32Array
  /** The same for standard normals. */
  normal(seed: number, stream: string, step: number, firstIndex: number, rows: number, columns: number): Float32Array
}
