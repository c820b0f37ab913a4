import { describe, expect, test } from '@jest/globals'
import { Golden, relativeError } from '../support/golden.js'
import { floats, native, tensor } from '../support/native.js'

// timm 1.0.31: resample_abs_pos_embed and resample_patch_embed, float32 (test/golden/resample.py).
const golden = new Golden('resample')
const keys = (prefix: string) =>
  [...golden.tensors.keys()].filter((key) => key.startsWith(prefix) && key.endsWith('.from'))

describe('resampling agrees with timm', () => {
  test.each(keys('positions.'))('%s', async (key) => {
    const [, prefix, from, to] = key.split('.') as [string, string, string, string, string]
    const grid = (text: string) => text.split('x').map(Number) as [number, number]
    const resampled = await native().resamplePositions(tensor(golden.get(key)), Number(prefix), grid(from), grid(to))
    const expected = golden.get(key.replace('.from', '.to'))
    expect(resampled.shape).toEqual(expected.shape)
    expect(relativeError(await floats(resampled), expected.data as Float32Array)).toBeLessThan(1e-6)
  })

  test.each(keys('kernel.'))('%s', async (key) => {
    const resampled = await native().resamplePatchKernel(tensor(golden.get(key)), Number(key.split('.')[2]))
    const expected = golden.get(key.replace('.from', '.to'))
    expect(resampled.shape).toEqual(expected.shape)
    // The pseudo-inverse of a float32 matrix: LAPACK's and our order of operations differ.
    expect(relativeError(await floats(resampled), expected.data as Float32Array)).toBeLessThan(1e-5)
  })

  test('returns the same values for the same size', async () => {
    const key = 'positions.1.4x4.7x7.from'
    const same = await native().resamplePositions(tensor(golden.get(key)), 1, [4, 4], [4, 4])
    expect(await floats(same)).toEqual(golden.floats(key))
    const kernel = 'kernel.16.8.from'
    expect(await floats(await native().resamplePatchKernel(tensor(golden.get(kernel)), 16))).toEqual(
      golden.floats(kernel)
    )
  })
})
