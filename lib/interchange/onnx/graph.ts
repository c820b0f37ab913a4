/** Builds a graph of ONNX operators (opset 17) and writes it, with numbers of fields as in `onnx.proto`. */

import path from 'node:path'
import { writeAtomically, writeFully } from '../../files/atomic.js'
import { asBytes, fromFloat32 } from '../../weights/dtype.js'
import { Message, type Piece } from './protobuf.js'

export type OnnxType = 'float32' | 'float16' | 'int64'

/** A tensor of the graph. */
export interface Value {
  readonly name: string
  readonly type: OnnxType
}

/** A size, or the name of one that is decided when the graph runs. */
export type Dimension = number | string

type Attribute = number | { readonly float: number } | readonly number[]

const typeCodes: Record<OnnxType, number> = { float32: 1, float16: 10, int64: 7 }
const typeSizes: Record<OnnxType, number> = { float32: 4, float16: 2, int64: 8 }
const irVersion = 8
const opset = 17

/** Protobuf cannot hold 2 GiB; above this, weights are in a file beside the graph. */
const largestFile = 2 ** 31 - 2 ** 24

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

interface Constant {
  name: string
  type: OnnxType
  shape: readonly number[]
  data: Piece
}

function attributeMessage(name: string, value: Attribute): Message {
  const message = new Message().text(1, name)
  if (typeof value === 'number') return message.integer(3, value).integer(20, 2)
  if ('float' in value) return message.float(2, value.float).integer(20, 1)
  for (const one of value) message.integer(8, one)
  return message.integer(20, 7)
}

function valueMessage({ name, type }: Value, shape: readonly Dimension[]): Message {
  const dimensions = new Message().messages(
    1,
    shape.map((size) => (typeof size === 'number' ? new Message().integer(1, size) : new Message().text(2, size)))
  )
  const tensor = new Message().integer(1, typeCodes[type]).message(2, dimensions)
  return new Message().text(1, name).message(2, new Message().message(1, tensor))
}

const entry = (key: string, value: string): Message => new Message().text(1, key).text(2, value)

/** A graph that grows operator by operator. */
export class Graph {
  readonly #nodes: Message[] = []
  readonly #constants = new Map<string, Constant>()
  readonly #inputs: Message[] = []
  readonly #outputs: Message[] = []
  #names = 0

  input(name: string, type: OnnxType, shape: readonly Dimension[]): Value {
    const value = { name, type }
    this.#inputs.push(valueMessage(value, shape))
    return value
  }

  /** Names a value as a result of the graph. */
  output(name: string, value: Value, shape: readonly Dimension[]): void {
    const result = { name, type: value.type }
    this.#nodes.push(this.#node('Identity', [value], [name], {}))
    this.#outputs.push(valueMessage(result, shape))
  }

  #node(type: string, inputs: readonly Value[], outputs: readonly string[], attributes: Record<string, Attribute>) {
    const node = new Message()
    for (const { name } of inputs) node.text(1, name)
    for (const name of outputs) node.text(2, name)
    const given = Object.entries(attributes).map(([name, value]) => attributeMessage(name, value))
    return node
      .text(3, outputs[0] as string)
      .text(4, type)
      .messages(5, given)
  }

  /** Results of an operator, of its first input's type. */
  split(type: string, results: number, inputs: readonly Value[], attributes: Record<string, Attribute> = {}): Value[] {
    const names = Array.from({ length: results }, () => `${type.toLowerCase()}_${this.#names++}`)
    this.#nodes.push(this.#node(type, inputs, names, attributes))
    return names.map((name) => ({ name, type: (inputs[0] as Value).type }))
  }

  /** The result of an operator, of its first input's type. */
  apply(type: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}): Value {
    return this.split(type, 1, inputs, attributes)[0] as Value
  }

  cast(value: Value, type: OnnxType): Value {
    return value.type === type ? value : { ...this.apply('Cast', [value], { to: typeCodes[type] }), type }
  }

  /** Converts the shape of a value [batch, …]; 0 keeps a size. */
  reshape(value: Value, shape: readonly number[]): Value {
    return this.apply('Reshape', [value, this.integers(shape)])
  }

  transpose(value: Value, perm: readonly number[]): Value {
    return this.apply('Transpose', [value], { perm })
  }

  /** A constant whose elements are read when the graph is written. A second call with its name returns the first's. */
  constant(
    name: string,
    type: 'float32' | 'float16',
    shape: readonly number[],
    read: () => Promise<Float32Array>
  ): Value {
    if (!this.#constants.has(name)) {
      const byteLength = count(shape) * typeSizes[type]
      const data = { byteLength, read: async () => fromFloat32(await read(), type) }
      this.#constants.set(name, { name, type, shape, data })
    }
    return { name, type }
  }

  scalar(value: number, type: 'float32' | 'float16'): Value {
    return this.constant(`${type}_${value}`, type, [], async () => Float32Array.of(value))
  }

  /** A vector of integers. */
  integers(values: readonly number[]): Value {
    const name = `integers_${values.join('_')}`
    const data = asBytes(BigInt64Array.from(values, BigInt))
    this.#constants.set(name, { name, type: 'int64', shape: [values.length], data })
    return { name, type: 'int64' }
  }

  /**
   * Writes the model; its constants go to `<file>.data` where they do not fit into one file.
   * @returns the names of the files
   */
  async write(file: string, name: string, metadata: Record<string, string>, largest = largestFile): Promise<string[]> {
    const constants = [...this.#constants.values()]
    const total = constants.reduce((sum, { data }) => sum + data.byteLength, 0)
    const beside = total > largest ? `${path.basename(file)}.data` : null
    let offset = 0
    const tensors = constants.map(({ name: constant, type, shape, data }) => {
      const tensor = new Message()
      for (const size of shape) tensor.integer(1, size)
      tensor.integer(2, typeCodes[type]).text(8, constant)
      // Shapes must be in the model: they decide what a runtime does when it loads it.
      if (beside === null || type === 'int64') return tensor.bytes(9, data)
      const place = { location: beside, offset: `${offset}`, length: `${data.byteLength}` }
      offset += data.byteLength
      return tensor
        .messages(
          13,
          Object.entries(place).map((pair) => entry(...pair))
        )
        .integer(14, 1)
    })
    const graph = new Message()
      .messages(1, this.#nodes)
      .text(2, name)
      .messages(5, tensors)
      .messages(11, this.#inputs)
      .messages(12, this.#outputs)
    const model = new Message()
      .integer(1, irVersion)
      .text(2, 'mactok')
      .message(7, graph)
      .message(8, new Message().text(1, '').integer(2, opset))
      .messages(
        14,
        Object.entries(metadata).map((pair) => entry(...pair))
      )
    if (beside !== null) {
      const data = constants.filter(({ type }) => type !== 'int64').map((constant) => constant.data)
      await writePieces(`${file}.data`, data)
    }
    await writePieces(file, model.pieces)
    return beside === null ? [file] : [file, `${file}.data`]
  }
}

const writePieces = (file: string, pieces: readonly Piece[]): Promise<void> =>
  writeAtomically(file, async (handle) => {
    for (const piece of pieces) await writeFully(handle, piece instanceof Uint8Array ? piece : await piece.read())
  })
