import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { LatentStatistics } from '../../lib/latents/index.js'
import { ChannelAccumulator } from '../../lib/latents/statistics.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { device } from '../support/native.js'

describe('normalising and denormalising', () => {
  test('tokens have channels on the last axis', () => {
    const statistics = new LatentStatistics([1, 2], [2, 4], [2, 2])
    expect(statistics.shape).toEqual([1, 1, 2])
    expect(Array.from(statistics.normalise(Float32Array.of(1, 2, 3, 6)))).toEqual([0, 0, 1, 1])
    expect(Array.from(statistics.denormalise(Float32Array.of(0, 0, 1, 1)))).toEqual([1, 2, 3, 6])
  })

  test('two-dimensional latents have channels on the first axis of a sample', () => {
    const statistics = new LatentStatistics([1, 2], [2, 4], [2, 1, 2])
    expect(statistics.shape).toEqual([1, 2, 1, 1])
    expect(Array.from(statistics.normalise(Float32Array.of(1, 3, 2, 6, 5, 7, -2, 10)))).toEqual([
      0, 1, 0, 1, 2, 3, -1, 2
    ])
  })

  test('scalar statistics use one mean and deviation for all channels', () => {
    const statistics = new LatentStatistics([1], [2], [2, 2])
    expect(statistics.shape).toEqual([1, 1, 1])
    expect(Array.from(statistics.normalise(Float32Array.of(1, 3, 5, -1)))).toEqual([0, 1, 2, -1])
  })

  test('a constant channel is only centred', () => {
    const statistics = new LatentStatistics([3, 0], [0, 1], [1, 2])
    expect(Array.from(statistics.normalise(Float32Array.of(3, 5)))).toEqual([0, 5])
    expect(Array.from(statistics.denormalise(Float32Array.of(0, 5)))).toEqual([3, 5])
  })

  test('are inverse to each other', () => {
    const number = fc.float({ min: -100, max: 100, noNaN: true })
    const deviation = fc.float({ min: Math.fround(0.01), max: 100, noNaN: true })
    const three = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(
        three(number),
        three(deviation),
        fc.array(number, { minLength: 12, maxLength: 12 }),
        (mean, std, list) => {
          const statistics = new LatentStatistics(mean, std, [2, 3])
          const latents = Float32Array.from(list)
          const back = statistics.denormalise(statistics.normalise(latents))
          for (const [i, value] of back.entries()) expect(Math.abs(value - (latents[i] as number))).toBeLessThan(1e-4)
        }
      )
    )
  })

  test('denormalises a tensor on its device to the very same values', async () => {
    const statistics = new LatentStatistics([0.1, -2.3, 7e-5], [0.37, 0, 12.9], [2, 3])
    const latents = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i) * 10 ** (i % 9))
    const onDevice = await statistics.denormaliseTensor(tensor(latents, [10, 2, 3], { device }))
    expect(onDevice.shape).toEqual([10, 2, 3])
    expect(await onDevice.data()).toEqual(statistics.denormalise(latents))
  })

  test('survives JSON', () => {
    const statistics = new LatentStatistics([0.1, 0.2], [0.3, 0.4], [2, 2])
    expect(LatentStatistics.fromJSON(JSON.parse(JSON.stringify(statistics)))).toEqual(statistics)
  })

  test('reject wrong arguments', () => {
    expect(() => new LatentStatistics([1, 2, 3], [1, 2, 3], [2, 2])).toThrow(
      'Expected 1 or 2 values for mean but received 3'
    )
    expect(() => new LatentStatistics([1, 2], [1], [2, 2])).toThrow('Expected 2 values, as many as means for std')
    expect(() => new LatentStatistics([1, 2], [1, -1], [2, 2])).toThrow('finite values of at least 0 for std')
    expect(() => new LatentStatistics([1, Number.NaN], [1, 1], [2, 2])).toThrow('finite values for mean')
    const statistics = new LatentStatistics([1, 2], [1, 1], [2, 2])
    expect(() => statistics.normalise(new Float32Array(5))).toThrow(
      'Expected whole samples of 4 values for latents but received 5'
    )
    expect(() => statistics.denormalise([1, 2, 3, 4] as never)).toThrow(TypeError)
  })
})

describe('accumulating', () => {
  const sample = (offset: number) => Float32Array.of(offset, 1, offset + 2, 1)

  test('in parts gives the same as at once', () => {
    const whole = new ChannelAccumulator([2, 2])
    const parts = [new ChannelAccumulator([2, 2]), new ChannelAccumulator([2, 2])]
    for (let i = 0; i < 10; i++) {
      whole.add(sample(i * i))
      parts[i % 2]?.add(sample(i * i))
    }
    const merged = new ChannelAccumulator([2, 2])
    for (const part of parts) merged.merge(JSON.parse(JSON.stringify(part.sums())))
    const { mean, std, scalar } = whole.result()
    expect(merged.result().mean).toEqual(mean.map((value) => expect.closeTo(value, 12)))
    expect(merged.result().std).toEqual(std.map((value) => expect.closeTo(value, 12)))
    expect(merged.result().scalar.std).toBeCloseTo(scalar.std, 12)
    expect(std[1]).toBe(0)
  })

  test('keeps small deviations far from zero', () => {
    const sums = new ChannelAccumulator([1, 1])
    // The float32 neighbours of a million: 999999.9375, 1000000, 1000000.0625; deviations of 1/16.
    for (const value of [999999.9375, 1000000, 1000000.0625]) sums.add(Float32Array.of(value))
    expect(sums.result()).toMatchObject({ mean: [1e6], std: [0.0625] })
  })

  test('of nothing gives zeros', () => {
    const sums = new ChannelAccumulator([1, 1])
    sums.merge({ count: 0, mean: [0], squares: [0], variances: [0] })
    expect(sums.result()).toMatchObject({ count: 0, mean: [0], std: [0] })
  })
})
