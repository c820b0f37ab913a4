import { expect, test } from '@jest/globals'
import { toLevel } from '../../lib/data/levels.js'
import { psnr } from '../../lib/evaluation/psnr.js'
import { Golden, relativeError } from '../support/golden.js'

// scikit-image 0.26.0, peak_signal_noise_ratio(data_range=255) on uint8 (test/golden/metrics.py).
test("PSNR of each image agrees with scikit-image's", () => {
  const golden = new Golden('metrics')
  const values = psnr(golden.get('originals').data as Uint8Array, golden.floats('decoded'), 3)
  expect(relativeError(values, golden.floats('psnr'))).toBeLessThan(1e-6)
})

test('levels are rounded and clamped', () => {
  expect([-2, -1, 0.003, 1, 7].map(toLevel)).toEqual([0, 0, 128, 255, 255])
})
