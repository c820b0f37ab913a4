import { describe, expect, test } from '@jest/globals'
import { Golden } from '../support/golden.js'
import { native } from '../support/native.js'

// Expected values: test/golden/philox.py, an independent implementation that Random123's vectors check.
describe('random streams', () => {
  const golden = new Golden('philox')
  type Call = [seed: number, stream: string, step: number, first: number, rows: number, columns: number]
  const cases: Call[] = [
    [0, 'golden', 0, 0, 3, 9],
    [2 ** 32 + 5, 'mask/ratio', 1_000_000, 12_345, 2, 16],
    [42, '', 7, -1, 1, 5]
  ]

  test.each(cases.map((_, index) => index))('uniforms agree bit for bit with Philox4x32-10 (%i)', (index) => {
    expect(Array.from(native().uniform(...(cases[index] as Call)))).toEqual(
      Array.from(golden.floats(`uniform.${index}`))
    )
  })

  test.each(cases.map((_, index) => index))('normals agree with Box–Muller (%i)', (index) => {
    const expected = golden.floats(`normal.${index}`)
    const actual = native().normal(...(cases[index] as Call))
    expect(actual).toHaveLength(expected.length)
    // One float32 step: the two mathematical libraries may round a double's cosine differently.
    for (let i = 0; i < expected.length; i++) {
      expect(Math.abs((actual[i] as number) - (expected[i] as number))).toBeLessThanOrEqual(
        Math.abs(expected[i] as number) * 2 ** -23
      )
    }
  })

  test('a row depends on its sample index, not on the batch around it', () => {
    const batch = native().normal(3, 'posterior', 9, 100, 8, 7)
    for (let row = 0; row < 8; row++) {
      expect(native().normal(3, 'posterior', 9, 100 + row, 1, 7)).toEqual(batch.slice(row * 7, row * 7 + 7))
    }
  })

  test('a prefix of a row does not depend on its length', () => {
    expect(native().uniform(3, 'a', 0, 0, 1, 6)).toEqual(native().uniform(3, 'a', 0, 0, 1, 50).slice(0, 6))
  })

  test('seed, stream, step and sample each change the draws', () => {
    const draws = [
      native().uniform(1, 'a', 0, 0, 1, 4),
      native().uniform(2, 'a', 0, 0, 1, 4),
      native().uniform(1, 'b', 0, 0, 1, 4),
      native().uniform(1, 'a', 1, 0, 1, 4),
      native().uniform(1, 'a', 0, 1, 1, 4),
      native().uniform(1, 'a', 0, -1, 1, 4)
    ]
    expect(new Set(draws.map(String)).size).toBe(draws.length)
  })

  test('moments are those of the distributions', () => {
    const count = 200_000
    const uniform = native().uniform(5, 'moments', 0, 0, count / 100, 100)
    const normal = native().normal(5, 'moments', 0, 0, count / 100, 100)
    const mean = (values: Float32Array, power: number) => values.reduce((sum, value) => sum + value ** power, 0) / count
    // Five standard errors each.
    expect(Math.abs(mean(uniform, 1) - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / count))
    expect(Math.abs(mean(uniform, 2) - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / count))
    expect(Math.abs(mean(normal, 1))).toBeLessThan(5 * Math.sqrt(1 / count))
    expect(Math.abs(mean(normal, 2) - 1)).toBeLessThan(5 * Math.sqrt(2 / count))
    expect(Math.abs(mean(normal, 4) - 3)).toBeLessThan(5 * Math.sqrt(96 / count))
    expect(Math.min(...uniform.slice(0, 1000))).toBeGreaterThanOrEqual(0)
    expect(Math.max(...uniform.slice(0, 1000))).toBeLessThan(1)
  })
})
