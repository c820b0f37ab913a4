import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url))

/** Small inputs of users that were once handled wrongly. */
export const CASES = fileURLToPath(new URL('../cases/', import.meta.url))

export interface Reference {
  dtype: 'float32' | 'uint8' | 'int64'
  shape: number[]
  data: Float32Array | Uint8Array | BigInt64Array
}

const TYPES = { F32: ['float32', Float32Array], U8: ['uint8', Uint8Array], I64: ['int64', BigInt64Array] } as const

/** A golden file of test/golden, read without the library. */
export class Golden {
  readonly tensors = new Map<string, Reference>()
  readonly origin: Record<string, string>

  constructor(name: string) {
    const file = readFileSync(`${GOLDEN}${name}.safetensors`)
    const start = 8 + Number(file.readBigUInt64LE(0))
    const { __metadata__: metadata, ...entries } = JSON.parse(file.toString('utf8', 8, start)) as Record<string, never>
    this.origin = metadata
    for (const [key, entry] of Object.entries(entries)) {
      const { dtype, shape, data_offsets } = entry as {
        dtype: keyof typeof TYPES
        shape: number[]
        data_offsets: [number, number]
      }
      const [label, Type] = TYPES[dtype]
      const bytes = new Uint8Array(file.subarray(start + data_offsets[0], start + data_offsets[1]))
      this.tensors.set(key, { dtype: label, shape, data: new Type(bytes.buffer) })
    }
  }

  get(key: string): Reference {
    const tensor = this.tensors.get(key)
    if (!tensor) throw new Error(`no ${key} in this golden file; it has ${[...this.tensors.keys()].join(', ')}`)
    return tensor
  }

  floats(key: string): Float32Array {
    const { dtype, data } = this.get(key)
    if (dtype !== 'float32') throw new Error(`${key} is ${dtype}`)
    return data as Float32Array
  }

  scalar(key: string): number {
    return Number(this.get(key).data[0])
  }

  /** The tensors below `prefix`, without it. */
  under(prefix: string): Record<string, Reference> {
    const found = [...this.tensors].filter(([key]) => key.startsWith(prefix))
    return Object.fromEntries(found.map(([key, tensor]) => [key.slice(prefix.length), tensor]))
  }
}

/** The largest |actual − expected| as a part of the largest |expected|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values instead of ${expected.length}`)
  let difference = 0
  let scale = 0
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number))
    if (!(error <= difference)) difference = error // a NaN stays
    scale = Math.max(scale, Math.abs(expected[i] as number))
  }
  return scale > 0 ? difference / scale : difference
}

/** The largest |actual − expected|. */
export function absoluteError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values instead of ${expected.length}`)
  let difference = 0
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number))
    if (!(error <= difference)) difference = error
  }
  return difference
}
