import { expect, test } from '@jest/globals'
import { mutualInformation } from '../../lib/evaluation/mutual-information.js'
import { addon } from '../../lib/native/load.js'

const normals = (count: number) => addon().normal(3, 'test', 0, 0, count, 1)

/** Posteriors of one token and one channel. */
const posteriors = (means: Float32Array, variance: number) => ({
  count: means.length,
  tokens: 1,
  channels: 1,
  means,
  logvars: new Float32Array(means.length).fill(Math.log(variance))
})

test('is 0 of a collapsed posterior', async () => {
  const { total, perToken } = await mutualInformation(posteriors(new Float32Array(100), 1))
  expect(total).toBeCloseTo(0, 10)
  expect(perToken).toEqual([total])
})

test('is the logarithm of the number of clusters where posteriors fall into clusters far apart', async () => {
  const means = Float32Array.from({ length: 400 }, (_, i) => 100 * (i % 4))
  expect((await mutualInformation(posteriors(means, 1))).total).toBeCloseTo(Math.log(4), 6)
})

test('is the logarithm of the number of images where all are far apart, in total and per token', async () => {
  const means = Float32Array.from({ length: 2 * 50 }, (_, i) => 10 * i)
  const logvars = new Float32Array(means.length)
  const { total, perToken } = await mutualInformation({ count: 50, tokens: 2, channels: 1, means, logvars })
  for (const value of [total, ...perToken]) expect(value).toBeCloseTo(Math.log(50), 6)
})

test('approaches that of a Gaussian channel, ½ log (1 + signal / noise)', async () => {
  const { total } = await mutualInformation(posteriors(normals(2_000), 0.25))
  expect(Math.abs(total - Math.log(5) / 2)).toBeLessThan(0.05)
})

test('of two overlapping components is between 0 and log 2, as integration gives it', async () => {
  // Components N(±1, 1): I = log 2 − E log (1 + e^(−2z)), z ~ N(1, 1).
  let expected = Math.log(2)
  for (let z = -9; z < 11; z += 0.001) {
    const density = Math.exp(-((z - 1) ** 2) / 2) / Math.sqrt(2 * Math.PI)
    expected -= density * Math.log1p(Math.exp(-2 * z)) * 0.001
  }
  const means = Float32Array.from({ length: 2_000 }, (_, i) => (i % 2 ? 1 : -1))
  expect(Math.abs((await mutualInformation(posteriors(means, 1))).total - expected)).toBeLessThan(0.03)
})
