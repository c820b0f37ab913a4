import { describe, expect, test } from '@jest/globals'
import type { NativeState } from '../../lib/native/addon.js'
import { fromFloat32 } from '../../lib/weights/dtype.js'
import { type Loadable, loadInto } from '../../lib/weights/state.js'
import { float32 } from '../../lib/weights/tensors.js'
import { native } from '../support/native.js'

const scalar = (value: number) => float32(Float32Array.of(value), [1])
const checkpoint = new Map([
  ['a', scalar(1)],
  ['b', scalar(2)]
])

/** A network whose parameters are scalars; `loaded` has what it was given, `tensors` every handle that passed through. */
function fakeNetwork(parameters: Record<string, number>) {
  const loaded: Record<string, number> = {}
  const tensors: NativeState[string][] = []
  const network: Loadable = {
    state: () => {
      const state: NativeState = {}
      for (const [name, value] of Object.entries(parameters)) {
        state[name] = native().tensor(Float32Array.of(value), 'float32', [1], 'cpu')
        tensors.push(state[name])
      }
      return state
    },
    load: async (state) => {
      for (const [name, tensor] of Object.entries(state)) {
        loaded[name] = new Float32Array(await tensor.read())[0] as number
        tensors.push(tensor)
      }
    }
  }
  return { network, loaded, tensors }
}

describe('loadInto', () => {
  test('replaces all parameters without a prefix', async () => {
    const { network, loaded } = fakeNetwork({ a: 7, b: 8 })
    await loadInto(network, checkpoint)
    expect(loaded).toEqual({ a: 1, b: 2 })
  })

  test('replaces only the parameters under a prefix, and disposes every tensor', async () => {
    const { network, loaded, tensors } = fakeNetwork({ 'encoder.a': 7, 'encoder.b': 8, other: 9 })
    await loadInto(network, checkpoint, { prefix: 'encoder.' })
    expect(loaded).toEqual({ 'encoder.a': 1, 'encoder.b': 2, other: 9 })
    expect(tensors.every((tensor) => tensor.disposed)).toBe(true)
  })

  test('fits the checkpoint before loading it, under its own names', async () => {
    const { network, loaded } = fakeNetwork({ 'encoder.a': 7, 'encoder.b': 8 })
    const fit = async (state: NativeState) => {
      state.b?.dispose()
      state.b = native().tensor(Float32Array.of(5), 'float32', [1], 'cpu')
    }
    await loadInto(network, checkpoint, { prefix: 'encoder.', fit })
    expect(loaded).toEqual({ 'encoder.a': 1, 'encoder.b': 5 })
  })

  test('loads nothing when fitting fails, and disposes every tensor', async () => {
    const { network, loaded, tensors } = fakeNetwork({ 'encoder.a': 7 })
    const fit = async () => {
      throw new Error('does not fit')
    }
    await expect(loadInto(network, checkpoint, { prefix: 'encoder.', fit })).rejects.toThrow('does not fit')
    expect(loaded).toEqual({})
    expect(tensors.every((tensor) => tensor.disposed)).toBe(true)
  })

  test.each([
    ['float64', Number.NaN],
    ['float32', Number.NaN],
    ['float16', Number.POSITIVE_INFINITY],
    ['bfloat16', Number.NEGATIVE_INFINITY]
  ] as const)('refuses weights of %s with %d, by the name of the tensor', async (dtype, value) => {
    const { network, loaded } = fakeNetwork({ a: 7, b: 8 })
    const bytes = fromFloat32(Float32Array.of(1, value, 3), dtype)
    const damaged = new Map([...checkpoint, ['b', { dtype, shape: [3], bytes: async () => bytes }]] as const)
    await expect(loadInto(network, damaged)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: 'Tensor "b" has values that are not finite (NaN or infinite)'
    })
    expect(loaded).toEqual({})
  })
})
