import { afterAll, describe, expect, test } from '@jest/globals'
import type { DType } from '../../lib/tensor/dtype.js'
import { type Expression, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { Golden } from '../support/golden.js'
import { device } from '../support/native.js'

interface Input {
  tensor: string
  dtype: DType
}

interface Case {
  this: Input
  method: string
  arguments: unknown[]
  dtype: DType
}

const golden = new Golden('operations')
const cases = JSON.parse(JSON.parse(golden.origin.golden as string).cases) as Case[]
const made: Tensor[] = []
afterAll(() => {
  for (const one of made) one.dispose()
})

async function input({ tensor: name, dtype }: Input): Promise<Tensor> {
  const { data, shape } = golden.get(name)
  using original = tensor(data, shape, { device }) as Tensor
  const converted = await original.to({ dtype })
  made.push(converted)
  return converted
}

const isInput = (value: unknown): value is Input => typeof value === 'object' && value !== null && 'tensor' in value

/** JSON has no infinity. */
const revive = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'order' in value && value.order === 'Infinity'
    ? { ...value, order: Infinity }
    : value

/** The last digits in which functions such as exp may differ between CPUs, relative to the value. */
const precision: Partial<Record<DType, number>> = { float64: 1e-12, float32: 2e-6, float16: 2e-3, bfloat16: 1.6e-2 }

function expectClose(actual: ArrayLike<number | bigint>, expected: ArrayLike<number | bigint>, dtype: DType): void {
  const tolerance = precision[dtype] ?? 0
  // Sums of opposite numbers lose digits of the largest.
  const scale = Math.max(0, ...Array.from(expected, Number).filter(Number.isFinite).map(Math.abs))
  const differences = Array.from(expected, (value, i) => {
    const [a, b] = [Number(actual[i]), Number(value)]
    if (Object.is(a, b) || a === b) return null
    return Math.abs(a - b) <= tolerance * Math.max(Math.abs(b), Math.min(scale, 8))
      ? null
      : { i, actual: a, expected: b }
  })
  expect(differences.filter((one) => one !== null)).toEqual([])
}

const names = [...new Set(cases.map(({ method }) => method))]

// PyTorch 2.15.0 (test/golden/operations.py).
describe('agrees with PyTorch on dtype, shape and values', () => {
  test('of every operation', () => expect(names.length).toBeGreaterThan(45))

  test.each(names)('%s', async (method) => {
    for (const [number, one] of cases.entries()) {
      if (one.method !== method) continue
      const receiver = (await input(one.this)) as unknown as Record<string, (...values: unknown[]) => Expression>
      const values = one.arguments.map((value) => (isInput(value) ? input(value) : revive(value)))
      const expected = golden.get(`r.${number}`)
      const call = receiver[method]?.(...(await Promise.all(values))) as Expression
      using result = await call
      const label = JSON.stringify(one)
      expect([label, call.dtype, call.shape]).toEqual([label, one.dtype, expected.shape])
      expect([label, result.dtype, result.shape]).toEqual([label, one.dtype, expected.shape])
      expectClose(one.dtype === 'int64' ? await result.data() : await result.toFloat32(), expected.data, one.dtype)
    }
  })
})
