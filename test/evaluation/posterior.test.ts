import { expect, test } from '@jest/globals'
import { PosteriorStatistics } from '../../lib/evaluation/posterior.js'

test('active units and KL per channel do not depend on the batches', async () => {
  // Two images, two tokens of two channels. Means of the second channel do not vary.
  const means = [new Float32Array([1, 0.5, 0, 0.5]), new Float32Array([2, 0.5, 0.1, 0.5])]
  const logvar = new Float32Array([0, 0, Math.log(2), 0])
  const split = new PosteriorStatistics(2, 2)
  for (const mean of means) split.add(mean, logvar)
  const whole = new PosteriorStatistics(2, 2)
  whole.add(new Float32Array(means.flatMap((mean) => [...mean])), new Float32Array([...logvar, ...logvar]))
  expect(await split.result()).toEqual(await whole.result())

  const { activeUnits, kl, klPerChannel } = await split.result()
  // Variances 1/4, 0, 1/400 and 0 against the threshold 1/100.
  expect(activeUnits).toBe(1 / 4)
  // ½(μ² + σ² − 1 − log σ²), by hand: token 0 has μ² 1 and 4; token 1 has μ² 0 and .01, σ² 2.
  const first = (1 + 4) / 2 / 2 + (0 + 0.01) / 2 / 2 + (2 - 1 - Math.log(2)) / 2
  expect(klPerChannel?.[0]).toBeCloseTo(first, 6)
  expect(klPerChannel?.[1]).toBeCloseTo(0.25, 6)
  expect(kl).toBeCloseTo(first + 0.25, 6)
})

test('without a posterior the summary is empty', async () => {
  expect(await new PosteriorStatistics(2, 2).result()).toEqual({})
})

test('KL, active units and information per token tell a dead token from a live one', async () => {
  const statistics = new PosteriorStatistics(2, 2)
  const images = 3_000
  const latents = Array.from({ length: images }, (_, i) => [i < images / 2 ? -10 : 10, 0, 0, 0])
  statistics.add(Float32Array.from(latents.flat()), new Float32Array(images * 4))
  const result = await statistics.result()
  expect(result.activeUnitsPerToken).toEqual([0.5, 0])
  expect(result.activeTokens).toBe(0.5)
  expect(result.klPerToken).toEqual([50, 0])
  // There are more images than are kept for it.
  expect(result.mutualInformationPerToken?.[1]).toBeCloseTo(0, 10)
  expect(result.mutualInformationPerToken?.[0]).toBeCloseTo(Math.log(2), 6)
  expect(result.mutualInformation).toBeCloseTo(Math.log(2), 6)
  // log 2 is less than the nat that counts as informative.
  expect(result.informativeTokens).toBe(0)
  expect((result.aggregateKl as number) + (result.mutualInformation as number)).toBeCloseTo(50, 10)
})

test('a token is informative when it alone tells at least e images apart', async () => {
  const statistics = new PosteriorStatistics(2, 1)
  // Token 0 tells four groups of images apart, log 4 nats; token 1 two, log 2 nats.
  const latents = Array.from({ length: 64 }, (_, i) => [100 * (i % 4), 100 * (i % 2)])
  statistics.add(Float32Array.from(latents.flat()), new Float32Array(2 * 64))
  const result = await statistics.result()
  expect(result.mutualInformationPerToken?.[0]).toBeCloseTo(Math.log(4), 6)
  expect(result.informativeTokens).toBe(0.5)
})
