// Tensors between mactok, onnxruntime-node and transformers.js. The arrays are shared: elements are copied once when they leave
// LibTorch (`data()`) and once when they enter it (`tensor()`), and not on the way.
import { Tensor as TransformersTensor } from '@huggingface/transformers'
import { Tensor as OnnxTensor } from 'onnxruntime-node'
import { tensor } from '../../dist/index.js'

/**
 * A tensor for onnxruntime-node, which has all our dtypes but bfloat16: that becomes float32.
 * @param {import('../../dist/index.js').Operations} values a tensor, or a computation on tensors
 */
export async function toOnnx(values) {
  const known = values.dtype === 'bfloat16' ? values.to({ dtype: 'float32' }) : values
  return new OnnxTensor(known.dtype, await known.data(), known.shape)
}

/**
 * A result of onnxruntime-node, or the input for another session.
 * @param {{ type: string, data: ArrayBufferView, dims: readonly number[] }} values
 * @param {string} [device]
 */
export function fromOnnx({ type, data, dims }, device) {
  // Node from 24 on has an array of half floats, of which we take the bits.
  const { buffer, byteOffset, byteLength } = data
  const elements = type === 'float16' ? new Uint16Array(buffer, byteOffset, byteLength / 2) : data
  return tensor(elements, dims, { dtype: type, device })
}

/** A tensor for transformers.js, whose tensors hold those of onnxruntime. @param {import('../../dist/index.js').Operations} values */
export const toTransformers = async (values) => new TransformersTensor(await toOnnx(values))

/** What a processor or model of transformers.js returned. */
export const fromTransformers = fromOnnx
