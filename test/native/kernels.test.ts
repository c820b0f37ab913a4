import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeTensor } from '../../lib/native/addon.js'
import { relativeError } from '../support/golden.js'
import { native } from '../support/native.js'

// The kernels divide their work among threads.
const { threads } = native().info()
beforeAll(() => native().setThreads(2))
afterAll(() => native().setThreads(threads))

/** Smooth values with 8 significant bits or fewer, so that bfloat16 holds them exactly. */
const values = (seed: number, shape: number[], range = 4): NativeTensor => {
  const count = shape.reduce((a, b) => a * b)
  const data = native().uniform(seed, 'test/kernels', 0, 0, 1, count)
  return native().tensor(
    data.map((x) => (Math.round((x - 0.5) * 128) / 64) * range),
    'float32',
    shape,
    'cpu'
  )
}

const read = async (tensor: NativeTensor) => new Float64Array(await tensor.read())

// 37 and 80: neither rows nor columns are a multiple of a vector's or a run's length.
const cases: Record<string, () => { inputs: NativeTensor[]; upstream: NativeTensor }> = {
  linear: () => ({
    inputs: [values(1, [3, 37, 80]), values(2, [48, 80]), values(3, [48])],
    upstream: values(4, [3, 37, 48])
  }),
  // More outputs than rows: the other operand is transposed.
  wideLinear: () => ({
    inputs: [values(1, [9, 80]), values(2, [200, 80]), values(3, [200])],
    upstream: values(4, [9, 200])
  }),
  layerNorm: () => ({
    inputs: [values(1, [3, 37, 80]), values(2, [80]), values(3, [80])],
    upstream: values(4, [3, 37, 80])
  }),
  attention: () => ({ inputs: [values(1, [3, 37, 240], 1)], upstream: values(2, [3, 37, 80]) }),
  prunedAttention: () => ({
    inputs: [values(1, [3, 11, 80], 1), values(2, [3, 37, 160], 1)],
    upstream: values(3, [3, 11, 80])
  }),
  residual: () => ({
    inputs: [values(1, [3, 37, 80]), values(2, [3, 37, 80]), values(3, [80])],
    upstream: values(4, [3, 37, 80])
  }),
  // A factor of each image's: adaLN.
  modulatedNorm: () => ({
    inputs: [values(1, [3, 37, 80]), values(2, [3, 1, 80]), values(3, [3, 1, 80])],
    upstream: values(4, [3, 37, 80])
  }),
  gatedResidual: () => ({
    inputs: [values(1, [3, 37, 80]), values(2, [3, 37, 80]), values(3, [3, 1, 80])],
    upstream: values(4, [3, 37, 80])
  }),
  unitDistance: () => ({ inputs: [values(1, [3, 5, 7, 19])], upstream: values(2, [3, 35]) }),
  gelu: () => ({ inputs: [values(1, [37, 81], 6)], upstream: values(2, [37, 81]) }),
  geluTanh: () => ({ inputs: [values(1, [37, 81], 6)], upstream: values(2, [37, 81]) })
}

const kernel = (name: string) => (name === 'wideLinear' ? 'linear' : name)

// A rounding to bfloat16 is at most 2^-8 of its number; a gradient is rounded twice at most.
const allowed = { bf16: 2 ** -7, fp32: 1e-6 }

/** LibTorch's own products serve float32. */
const precisions = (name: string) => (kernel(name) === 'linear' ? (['bf16'] as const) : (['bf16', 'fp32'] as const))

describe.each(Object.entries(cases))('the fused %s', (name, make) => {
  test.each(precisions(name))('agrees with LibTorch in values and gradients, %s', async (precision) => {
    const { inputs, upstream } = make()
    const expected = await native().runKernel(kernel(name), inputs, upstream, null)
    const found = await native().runKernel(kernel(name), inputs, upstream, precision)
    for (const [i, tensor] of found.entries()) {
      expect(relativeError(await read(tensor), await read(expected[i] as NativeTensor))).toBeLessThan(
        allowed[precision]
      )
    }
  })

  test.each(precisions(name))('keeps no memory after its backward pass, %s', async (precision) => {
    const { inputs, upstream } = make()
    expect(await native().keptByKernel(kernel(name), inputs, upstream, precision)).toBe(0)
  })

  test.each(precisions(name))('returns NaN for NaN, %s', async (precision) => {
    const { inputs, upstream } = make()
    const [first, ...rest] = inputs as [NativeTensor, ...NativeTensor[]]
    const broken = native().tensor(
      new Float32Array(first.shape.reduce((a, b) => a * b)).fill(NaN),
      'float32',
      first.shape,
      'cpu'
    )
    const [output] = await native().runKernel(kernel(name), [broken, ...rest], upstream, precision)
    expect((await read(output as NativeTensor)).every(Number.isNaN)).toBe(true)
  })
})
