import { describe, expect, test } from '@jest/globals'
import type { NativeMaskConfig } from '../../lib/native/addon.js'
import { bytes, device, floats, masking, native, randomImages, tokenizerConfig } from '../support/native.js'

const draw = async (
  config: NativeMaskConfig,
  batch: number,
  patches: number,
  { seed = 1, step = 0, first = 0 } = {}
) => {
  const mask = await bytes(await native().imageMask(config, null, seed, step, first, batch, patches))
  return Array.from({ length: batch }, (_, row) => mask.subarray(row * patches, (row + 1) * patches))
}
const count = (row: Uint8Array) => row.reduce((sum, bit) => sum + bit, 0)
/** Random scores that any order beats: the mask is semantic where it is the first patches. */
const ramp = (batch: number, patches: number) => {
  const scores = Float32Array.from({ length: batch * patches }, (_, i) => -(i % patches))
  return native().tensor(scores, 'float32', [batch, patches], device)
}

describe('mask ratios', () => {
  test('m is uniform on [-0.1, M], clipped to [0, M]', async () => {
    const patches = 1000 // so that ⌈mN⌉ tells m to a thousandth
    const ratios = (await draw(masking(), 4000, patches)).map((row) => count(row) / patches)
    const zeros = ratios.filter((ratio) => ratio === 0).length / ratios.length
    // P(m ≤ 0) = 0.1/0.8 = 0.125, five standard errors.
    expect(Math.abs(zeros - 0.125)).toBeLessThan(5 * Math.sqrt((0.125 * 0.875) / 4000))
    expect(Math.max(...ratios)).toBeLessThanOrEqual(0.7)
    // The rest is uniform on (0, 0.7]: Kolmogorov–Smirnov at 0.1 %.
    const positive = ratios.filter((ratio) => ratio > 0).sort((a, b) => a - b)
    const distance = Math.max(...positive.map((ratio, i) => Math.abs(ratio / 0.7 - (i + 0.5) / positive.length)))
    expect(distance).toBeLessThan(1.95 / Math.sqrt(positive.length) + 1 / 700)
  })

  test.each([
    [0, 16, 0],
    [0.25, 16, 4],
    [0.3, 10, 3],
    [0.7, 10, 7],
    [0.7, 256, 180],
    [0.4, 256, 103],
    [0.001, 256, 1],
    [1, 16, 16]
  ])('a fixed ratio %d of %i patches masks exactly %i', async (ratio, patches, expected) => {
    const rows = await draw(masking({ minRatio: ratio, maxRatio: ratio }), 8, patches)
    expect(rows.map(count)).toEqual(Array(8).fill(expected))
  })

  test('⌈mN⌉ exactly, from the drawn m', async () => {
    const units = native().uniform(9, 'mask/ratio', 3, 40, 200, 1)
    const rows = await draw(masking(), 200, 64, { seed: 9, step: 3, first: 40 })
    const expected = Array.from(units, (unit) => Math.ceil(Math.min(0.7, Math.max(0, unit * (0.7 - -0.1) + -0.1)) * 64))
    expect(rows.map(count)).toEqual(expected)
  })

  test("per: 'batch' draws one ratio for all, and other patches for each", async () => {
    const rows = await draw(masking({ per: 'batch', minRatio: 0.2 }), 16, 64, { step: 5 })
    expect(new Set(rows.map(count)).size).toBe(1)
    expect(new Set(rows.map(String)).size).toBeGreaterThan(8)
  })
})

describe('masks', () => {
  test('that are random hide every patch equally often', async () => {
    const rows = await draw(masking({ minRatio: 0.5, maxRatio: 0.5 }), 4000, 16)
    const frequencies = Array.from({ length: 16 }, (_, i) => rows.filter((row) => row[i]).length / rows.length)
    for (const frequency of frequencies) expect(Math.abs(frequency - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / 4000))
  })

  test('are semantic for half of the images', async () => {
    const config = masking({ minRatio: 0.25, maxRatio: 0.25, semantic: 0.5 })
    const mask = await bytes(await native().imageMask(config, ramp(2000, 64), 1, 0, 0, 2000, 64))
    const semantic = Array.from({ length: 2000 }, (_, i) => mask.subarray(i * 64, i * 64 + 16).every(Boolean)).filter(
      Boolean
    )
    expect(Math.abs(semantic.length / 2000 - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / 2000))
  })

  test.each([
    [0, 0],
    [1, 50]
  ])('a semantic probability of %d makes %i of 50 semantic', async (semantic, expected) => {
    const config = masking({ minRatio: 0.25, maxRatio: 0.25, semantic })
    const mask = await bytes(await native().imageMask(config, ramp(50, 64), 1, 0, 0, 50, 64))
    const found = Array.from({ length: 50 }, (_, i) => mask.subarray(i * 64, i * 64 + 16).every(Boolean)).filter(
      Boolean
    )
    expect(found).toHaveLength(expected)
  })

  test('depend on the sample, not on the batch around it', async () => {
    const all = await draw(masking(), 12, 32, { step: 2, first: 100 })
    const parts = [
      ...(await draw(masking(), 5, 32, { step: 2, first: 100 })),
      ...(await draw(masking(), 7, 32, { step: 2, first: 105 }))
    ]
    expect(parts).toEqual(all)
    expect(await draw(masking(), 12, 32, { step: 3, first: 100 })).not.toEqual(all)
  })
})

test('evaluation never masks: encoding is the mean of the unmasked image, whatever the training drew', async () => {
  const model = await native().createTokenizer(tokenizerConfig(), device, 3)
  const images = randomImages(2, 4, 16)
  const options = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
  const encode = async (mask: Parameters<typeof model.encode>[1]) => floats(await model.encode(images, mask, options))
  const whole = await encode(null)
  const { mean } = await model.posterior(images, 'fp32')
  expect(await floats(mean)).toEqual(whole)
  const none = native().tensor(new Uint8Array(4 * 16), 'uint8', [4, 16], device)
  expect(await encode(none)).toEqual(whole)
  const all = native().tensor(new Uint8Array(4 * 16).fill(1), 'uint8', [4, 16], device)
  const hidden = await encode(all)
  expect(hidden).not.toEqual(whole)
  // With everything hidden all images look alike.
  expect(hidden.slice(0, 12)).toEqual(hidden.slice(12, 24))
})
