/** Writes protobuf messages as lists of pieces, so that weights are neither copied nor in memory all at once. */

/** Bytes, or as many as announced that are read when they are written. */
export type Piece = Uint8Array | { readonly byteLength: number; readonly read: () => Promise<Uint8Array> }

const encoder = new TextEncoder()

/** Seven bits per byte, the lowest first; negative numbers as 64 bits in two's complement. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Uint8Array.from([...bytes, Number(rest)])
}

/** A message; its methods append fields by number, and return it. */
export class Message {
  readonly pieces: Piece[] = []
  byteLength = 0

  #append(...pieces: Piece[]): this {
    for (const piece of pieces) {
      this.pieces.push(piece)
      this.byteLength += piece.byteLength
    }
    return this
  }

  /** An integer or an enumeration. */
  integer(field: number, value: number): this {
    return this.#append(varint(field * 8), varint(value))
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setFloat32(0, value, true)
    return this.#append(varint(field * 8 + 5), bytes)
  }

  bytes(field: number, value: Piece): this {
    return this.#append(varint(field * 8 + 2), varint(value.byteLength), value)
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value))
  }

  message(field: number, value: Message): this {
    return this.#append(varint(field * 8 + 2), varint(value.byteLength), ...value.pieces)
  }

  messages(field: number, values: Iterable<Message>): this {
    for (const value of values) this.message(field, value)
    return this
  }
}
