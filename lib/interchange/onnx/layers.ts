/** The layers of our networks as ONNX operators, with the names of their weights. */

import { MactokError } from '../../errors.js'
import { toFloat32 } from '../../weights/dtype.js'
import { readFinite, type Weights } from '../../weights/tensors.js'
import type { Graph, Value } from './graph.js'

export type OnnxPrecision = 'fp32' | 'fp16'

/** [out, in] -> [in, out], as ONNX multiplies. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column] as number
    }
  }
  return result
}

/** Cosines and sines of rotary positions, [heads or 1, T, d] each: pairs of channels share an angle. */
export interface Rotation {
  cos: Value
  sin: Value
}

/**
 * Layers of a network. In fp16, products and attention are float16; norms, softmax and the residual stream stay float32,
 * as under autocast, and so do inputs and outputs of the graph.
 */
export class Layers {
  /** The type of products. */
  readonly type: 'float32' | 'float16'

  constructor(
    readonly graph: Graph,
    readonly weights: Weights,
    /** The file of the weights, for messages. */
    readonly file: string,
    precision: OnnxPrecision
  ) {
    this.type = precision === 'fp16' ? 'float16' : 'float32'
  }

  shape(name: string): readonly number[] {
    const tensor = this.weights.get(name)
    if (!tensor) throw new MactokError('ERR_FORMAT', `${this.file} has no tensor "${name}"`)
    return tensor.shape
  }

  async read(name: string): Promise<Float32Array> {
    this.shape(name)
    const tensor = this.weights.get(name) as NonNullable<ReturnType<Weights['get']>>
    return toFloat32(await readFinite(name, tensor, this.file), tensor.dtype)
  }

  /** A weight as it is. */
  weight(name: string, type: 'float32' | 'float16' = 'float32'): Value {
    return this.graph.constant(name, type, this.shape(name), () => this.read(name))
  }

  add = (a: Value, b: Value): Value => this.graph.apply('Add', [a, b])
  multiply = (a: Value, b: Value): Value => this.graph.apply('Mul', [a, b])
  number = (value: number, like: Value): Value => this.graph.scalar(value, like.type as 'float32' | 'float16')
  float32 = (x: Value): Value => this.graph.cast(x, 'float32')

  /** x·Wᵀ + b: [.., in] -> [.., out]. */
  linear(x: Value, name: string, type = this.type): Value {
    const [rows, columns] = this.shape(`${name}.weight`) as [number, number]
    const matrix = this.graph.constant(`${name}.weight`, type, [columns, rows], async () =>
      transposed(await this.read(`${name}.weight`), rows, columns)
    )
    return this.add(this.graph.apply('MatMul', [this.graph.cast(x, type), matrix]), this.weight(`${name}.bias`, type))
  }

  /** name: null for a norm without weights. */
  layerNorm(x: Value, name: string | null, width: number): Value {
    const ones = () =>
      this.graph.constant(`ones_${width}`, 'float32', [width], async () => new Float32Array(width).fill(1))
    const parameters = name === null ? [ones()] : [this.weight(`${name}.weight`), this.weight(`${name}.bias`)]
    const attributes = { axis: -1, epsilon: { float: 1e-6 } }
    return this.graph.apply('LayerNormalization', [this.float32(x), ...parameters], attributes)
  }

  rmsNorm(x: Value, name: string): Value {
    const precise = this.float32(x)
    const square = this.graph.apply('ReduceMean', [this.multiply(precise, precise)], { axes: [-1], keepdims: 1 })
    const root = this.graph.apply('Sqrt', [this.add(square, this.number(1e-6, square))])
    return this.multiply(this.graph.apply('Div', [precise, root]), this.weight(`${name}.weight`))
  }

  /** Activations are float32, because powers and products of float16 overflow. */
  gelu(activation: Value): Value {
    const x = this.float32(activation)
    const scaled = this.multiply(x, this.number(Math.SQRT1_2, x))
    const cumulative = this.add(this.graph.apply('Erf', [scaled]), this.number(1, x))
    return this.multiply(this.multiply(x, cumulative), this.number(0.5, x))
  }

  geluTanh(activation: Value): Value {
    const x = this.float32(activation)
    const cube = this.multiply(this.multiply(x, x), x)
    const inner = this.add(x, this.multiply(cube, this.number(0.044715, x)))
    const bent = this.graph.apply('Tanh', [this.multiply(inner, this.number(Math.sqrt(2 / Math.PI), x))])
    return this.multiply(this.multiply(x, this.add(bent, this.number(1, x))), this.number(0.5, x))
  }

  silu = (x: Value): Value => this.multiply(x, this.graph.apply('Sigmoid', [x]))

  /** Rotary positions from their angles, [heads, T, d/2]. */
  rotation(name: string, shape: readonly [number, number, number], angles: () => Promise<Float32Array>): Rotation {
    const [heads, tokens, pairs] = shape
    const table = (wave: 'cos' | 'sin') =>
      this.graph.constant(`${name}.${wave}`, 'float32', [heads, tokens, 2 * pairs], async () => {
        const values = await angles()
        return Float32Array.from({ length: 2 * values.length }, (_, i) => Math[wave](values[i >> 1] as number))
      })
    return { cos: table('cos'), sin: table('sin') }
  }

  /** (a, b) -> (a·cos − b·sin, b·cos + a·sin) for pairs of channels, x [B, heads, T, d]. */
  #rotate(x: Value, { cos, sin }: Rotation, width: number): Value {
    // The product with this matrix makes (−b, a) of (a, b).
    const turn = this.graph.constant(`turn_${width}`, 'float32', [width, width], async () => {
      const matrix = new Float32Array(width * width)
      for (let i = 0; i < width; i += 2) {
        matrix[(i + 1) * width + i] = -1
        matrix[i * width + i + 1] = 1
      }
      return matrix
    })
    const precise = this.float32(x)
    return this.add(this.multiply(precise, cos), this.multiply(this.graph.apply('MatMul', [precise, turn]), sin))
  }

  /** x: [B, T, D] -> [B, T, D] */
  attention(x: Value, name: string, heads: number, rotation: Rotation | null): Value {
    const width = this.shape(`${name}.proj.weight`)[0] as number
    const head = width / heads
    const split = this.graph.reshape(this.linear(x, `${name}.qkv`), [0, 0, 3, heads, head])
    const parts = this.graph.split('Split', 3, [this.graph.transpose(split, [2, 0, 3, 1, 4])], { axis: 0 })
    const [query, key, v] = parts.map((part) => this.graph.apply('Squeeze', [part, this.graph.integers([0])])) as [
      Value,
      Value,
      Value
    ]
    const prepare = (part: Value, norm: string) => {
      const normed = this.weights.has(`${norm}.weight`) ? this.rmsNorm(part, norm) : part
      return this.graph.cast(rotation ? this.#rotate(normed, rotation, head) : normed, this.type)
    }
    const q = prepare(query, `${name}.q_norm`)
    const k = this.graph.transpose(prepare(key, `${name}.k_norm`), [0, 1, 3, 2])
    // Scaled first: products of float16 would overflow.
    const scores = this.graph.apply('MatMul', [this.multiply(q, this.number(head ** -0.5, q)), k])
    const shares = this.graph.cast(this.graph.apply('Softmax', [this.float32(scores)], { axis: -1 }), this.type)
    const mixed = this.graph.transpose(this.graph.apply('MatMul', [shares, v]), [0, 2, 1, 3])
    return this.linear(this.graph.reshape(mixed, [0, 0, width]), `${name}.proj`)
  }

  /** p×p patches of [B, C, H, W] -> [B, N, D]. */
  patchEmbed(x: Value, name: string): Value {
    const [width, , patch] = this.shape(`${name}.proj.weight`) as [number, number, number]
    const inputs = [x, this.weight(`${name}.proj.weight`), this.weight(`${name}.proj.bias`)]
    const sides = { kernel_shape: [patch, patch], strides: [patch, patch] }
    const grid = this.graph.apply('Conv', inputs, sides)
    return this.graph.transpose(this.graph.reshape(grid, [0, width, -1]), [0, 2, 1])
  }

  /** [B, N, p·p·C] -> [B, C, H, W] */
  unpatchify(x: Value, grid: number, patch: number, channels: number): Value {
    const split = this.graph.reshape(x, [0, grid, grid, patch, patch, channels])
    const ordered = this.graph.transpose(split, [0, 5, 1, 3, 2, 4])
    return this.graph.reshape(ordered, [0, channels, grid * patch, grid * patch])
  }

  /** Repeats [1, T, D] for each row of a batch. */
  expand(x: Value, batch: Value): Value {
    const size = { ...this.graph.apply('Shape', [batch], { start: 0, end: 1 }), type: 'int64' as const }
    return this.graph.apply('Expand', [x, this.graph.apply('Concat', [size, this.graph.integers([1, 1])], { axis: 0 })])
  }

  concatenate = (parts: readonly Value[]): Value => this.graph.apply('Concat', parts, { axis: 1 })

  /** Positions [start, end) of [B, T, D]. */
  tokens(x: Value, start: number, end: number): Value {
    return this.graph.apply('Slice', [x, ...[[start], [end], [1]].map((values) => this.graph.integers(values))])
  }
}
