import { describe, expect, test } from '@jest/globals'
import { DivergenceGuard } from '../../lib/training/divergence.js'

describe('at the end of a run', () => {
  /** A guard of a run with these lines of the log: steps, how many were skipped, and how many of them last in a row. */
  const guard = (...lines: [steps: number, skipped: number, inARow: number][]) => {
    const made = new DivergenceGuard(100)
    let done = 0
    for (const [steps, skipped, skippedInARow] of lines) {
      done += steps
      made.check(done, steps, { skipped, skippedInARow, ...(skipped > 0 && { 'nonFinite.kl': skipped }) })
    }
    return made
  }

  test.each<[string, [number, number, number][], string]>([
    [
      'the last logged steps',
      [
        [50, 0, 0],
        [10, 10, 10]
      ],
      '10 of 60 steps changed nothing, the last ones among them'
    ],
    [
      'nearly all steps',
      [
        [50, 50, 50],
        [10, 9, 0]
      ],
      '59 of 60 steps changed nothing, because'
    ]
  ])('%s skipped are an error that names the terms', (_, lines, message) => {
    expect(() => guard(...lines).throwIfUntrained()).toThrow(message)
    expect(() => guard(...lines).throwIfUntrained()).toThrow('not finite (kl)')
  })

  test('some skipped steps are none', () => {
    expect(() => guard([50, 20, 20], [10, 5, 5]).throwIfUntrained()).not.toThrow()
    expect(() => guard([50, 0, 0]).throwIfUntrained()).not.toThrow()
  })
})
