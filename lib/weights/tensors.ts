/** Named tensors that are read on request, as key maps need them. They are bytes in memory; no LibTorch. */

import { instance } from '../checks.js'
import { invalidParameter, MactokError } from '../errors.js'
import { areFinite, asBytes, toFloat32, type WeightDtype } from './dtype.js'
import { SafetensorsFile } from './reader.js'

export interface WeightTensor {
  readonly dtype: WeightDtype
  readonly shape: readonly number[]
  /** Reads the elements, row-major, little-endian. */
  bytes(): Promise<Uint8Array>
  /** Where a file has these very bytes, if one does: such a tensor can be memory-mapped. */
  readonly place?: { readonly path: string; readonly offset: number }
}

export type Weights = ReadonlyMap<string, WeightTensor>

/** @throws {TypeError} for what is no map of tensors */
export function checkWeights(weights: unknown): asserts weights is Weights {
  const areNamed = weights instanceof Map && [...weights.keys()].every((name) => typeof name === 'string')
  if (!areNamed) throw invalidParameter('weights', 'tensors by name, as fileWeights gives them', weights)
}

/** The tensors of an open file. */
export function fileWeights(file: SafetensorsFile): Weights {
  instance('file', 'an open safetensors file', SafetensorsFile, file)
  return new Map(
    [...file.tensors.values()].map(({ name, shape, offset }) => {
      const tensor: WeightTensor = {
        // Throws for a type that MacTok does not support, but only when the tensor is used.
        get dtype() {
          return file.dtype(name)
        },
        shape,
        bytes: () => file.bytes(name),
        place: { path: file.path, offset }
      }
      return [name, tensor]
    })
  )
}

/** @param file - that has the tensor, if any one has */
export const notFinite = (name: string, file: string | undefined): MactokError => {
  const where = file === undefined ? '' : ` of ${file}`
  return new MactokError('ERR_FORMAT', `Tensor "${name}"${where} has values that are not finite (NaN or infinite)`)
}

/**
 * Reads a tensor's elements.
 * @throws {MactokError} `ERR_FORMAT` for values that are not finite, naming tensor and file
 */
export async function readFinite(name: string, tensor: WeightTensor, file: string): Promise<Uint8Array> {
  const bytes = await tensor.bytes()
  if (!areFinite(bytes, tensor.dtype)) throw notFinite(name, file)
  return bytes
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

const mismatch = (operation: string, tensors: readonly WeightTensor[]): MactokError => {
  const shapes = tensors.map(({ dtype, shape }) => `${dtype} [${shape}]`).join(' and ')
  return new MactokError('ERR_FORMAT', `Cannot ${operation} tensors of different dtypes or shapes: ${shapes}`)
}

/** Concatenates along the first dimension, as the rows of q, k and v become one matrix. */
export function concatenate(tensors: readonly [WeightTensor, ...WeightTensor[]]): WeightTensor {
  const [{ dtype, shape }] = tensors
  const [, ...row] = shape
  if (tensors.some((tensor) => tensor.dtype !== dtype || `${tensor.shape.slice(1)}` !== `${row}`)) {
    throw mismatch('concatenate', tensors)
  }
  const rows = tensors.reduce((sum, tensor) => sum + (tensor.shape[0] as number), 0)
  const bytes = async () => new Uint8Array(Buffer.concat(await Promise.all(tensors.map((tensor) => tensor.bytes()))))
  return { dtype, shape: [rows, ...row], bytes }
}

/** Slices positions [start, end) of the second dimension of a tensor [1, N, D]. */
export function slicePositions(tensor: WeightTensor, start: number, end: number): WeightTensor {
  const [, length, width] = tensor.shape as [number, number, number]
  const bytes = async () => {
    const all = await tensor.bytes()
    const size = all.byteLength / length
    return all.slice(start * size, end * size)
  }
  return { dtype: tensor.dtype, shape: [1, end - start, width], bytes }
}

/** Adds two floating-point tensors of one shape, in float32. */
export function add(a: WeightTensor, b: WeightTensor): WeightTensor {
  if (`${a.shape}` !== `${b.shape}`) throw mismatch('add', [a, b])
  const bytes = async () => {
    const left = toFloat32(await a.bytes(), a.dtype)
    const right = toFloat32(await b.bytes(), b.dtype)
    return asBytes(left.map((value, i) => value + (right[i] as number)))
  }
  return { dtype: 'float32', shape: a.shape, bytes }
}

export const zeros = (shape: readonly number[]): WeightTensor => ({
  dtype: 'float32',
  shape,
  bytes: async () => new Uint8Array(4 * count(shape))
})

export const float32 = (values: Float32Array, shape: readonly number[]): WeightTensor => ({
  dtype: 'float32',
  shape,
  bytes: async () => asBytes(values)
})
