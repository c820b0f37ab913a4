import { expect, test } from '@jest/globals'
import { requireFinite } from '../../lib/tensor/finite.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { device } from '../support/native.js'

test('a result is disposed when it is not finite, and when that cannot be found out', async () => {
  const wrong = tensor(Float32Array.of(1, Number.NaN), [2], { device })
  await expect(requireFinite('latents', wrong)).rejects.toThrow('The latents of row 1 are not finite')
  expect(wrong.disposed).toBe(true)

  const lost = tensor(Float32Array.of(1), [1], { device })
  Object.defineProperty(lost.native, 'isFinite', { value: () => Promise.reject(new Error('the device is lost')) })
  await expect(requireFinite('latents', lost)).rejects.toThrow('the device is lost')
  expect(lost.disposed).toBe(true)
})

test('a finite result is kept', async () => {
  using result = tensor(Float32Array.of(1, 2), [2], { device })
  expect(await requireFinite('latents', result)).toBe(result)
  expect(result.disposed).toBe(false)
})
