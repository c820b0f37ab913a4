import { expect, test } from '@jest/globals'
import { PosteriorStatistics } from '../../lib/evaluation/posterior.js'

test('active units and KL per channel do not depend on the batches', () => {
  // Two images, two tokens of two channels. Means of the second channel do not vary.
  const means = [new Float32Array([1, 0.5, 0, 0.5]), new Float32Array([2, 0.5, 0.1, 0.5])]
  const logvar = new Float32Array([0, 0, Math.log(2), 0])
  const split = new PosteriorStatistics(2, 2)
  for (const mean of means) split.add(mean, logvar)
  const whole = new PosteriorStatistics(2, 2)
  whole.add(new Float32Array(means.flatMap((mean) => [...mean])), new Float32Array([...logvar, ...logvar]))
  expect(split.result()).toEqual(whole.result())

  const { activeUnits, kl, klPerChannel } = split.result()
  // Variances 1/4, 0, 1/400 and 0 against the threshold 1/100.
  expect(activeUnits).toBe(1 / 4)
  // ½(μ² + σ² − 1 − log σ²), by hand: token 0 has μ² 1 and 4; token 1 has μ² 0 and .01, σ² 2.
  const first = (1 + 4) / 2 / 2 + (0 + 0.01) / 2 / 2 + (2 - 1 - Math.log(2)) / 2
  expect(klPerChannel?.[0]).toBeCloseTo(first, 6)
  expect(klPerChannel?.[1]).toBeCloseTo(0.25, 6)
  expect(kl).toBeCloseTo(first + 0.25, 6)
})

test('without a posterior the summary is empty', () => {
  expect(new PosteriorStatistics(2, 2).result()).toEqual({})
})
