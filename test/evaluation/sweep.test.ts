import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { type Guidance, sweepGuidance } from '../../lib/evaluation/sweep.js'
import { sweepChart } from '../../lib/evaluation/sweep-plot.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

/** A made-up landscape: the best scale is 2, and at it the best interval 0.2 to 1; a scale of 1 does not see the interval. */
function landscape() {
  const asked: Guidance[] = []
  const evaluate = async (guidance: Guidance) => {
    asked.push(guidance)
    // What a sampler takes, and nothing else.
    expect(Object.keys(guidance).sort()).toEqual(['high', 'low', 'scale'])
    const { scale, low } = guidance
    const fid = 5 + (scale - 2) ** 2 + (scale > 1 ? (low - 0.2) ** 2 : 0)
    return { images: 10, fid, is: 100 * scale, notices: [] }
  }
  return { asked, evaluate }
}
const options = { scales: [1, 1.5, 2, 3], intervals: [[0, 1] as const, [0.2, 1] as const, [0.4, 1] as const] }

describe('the sweep of guidance', () => {
  test('finds the best scale, then the best interval at it', async () => {
    const { asked, evaluate } = landscape()
    const { best, points } = await sweepGuidance(evaluate, { axes: ['guidance', 'interval'], ...options })
    expect(best).toMatchObject({ scale: 2, low: 0.2, high: 1, metrics: { fid: 5 } })
    // Scale 2 from 0 to 1 is not drawn twice.
    expect(points).toHaveLength(6)
    expect(asked).toHaveLength(6)
  })

  test('maximises other metrics', async () => {
    const { best } = await sweepGuidance(landscape().evaluate, { axes: ['guidance'], ...options, by: 'is' })
    expect(best.scale).toBe(3)
  })

  test('resumes, and starts again for other samples', async () => {
    const folder = place.path('sweep')
    const first = landscape()
    let calls = 0
    const broken = async (guidance: Guidance) => {
      if (++calls > 2) throw new Error('interrupted')
      return first.evaluate(guidance)
    }
    const sweep = { axes: ['guidance'] as const, ...options, folder, key: 'a' }
    await expect(sweepGuidance(broken, sweep)).rejects.toThrow('interrupted')
    const second = landscape()
    const { best } = await sweepGuidance(second.evaluate, sweep)
    expect(best.scale).toBe(2)
    expect(second.asked.map(({ scale }) => scale)).toEqual([2, 3])
    expect(JSON.parse(await readFile(`${folder}/sweep.json`, 'utf8')).points).toHaveLength(4)
    const third = landscape()
    await sweepGuidance(third.evaluate, { ...sweep, key: 'b' })
    expect(third.asked).toHaveLength(4)
  })

  test('is drawn as a curve, one line per interval', async () => {
    const sweep = await sweepGuidance(landscape().evaluate, { axes: ['guidance', 'interval'], ...options })
    const chart = sweepChart(sweep, 'fid') as string
    expect(chart).toMatch(/^<svg/)
    for (const name of ['interval 0–1', 'interval 0.2–1', 'interval 0.4–1']) expect(chart).toContain(name)
    expect(sweepChart(sweep, 'recall')).toBeNull()
  })

  test('decides by the first metric where FID is not computed', async () => {
    const evaluate = async ({ scale }: Guidance) => ({ images: 10, kid: (scale - 2) ** 2, is: scale, notices: [] })
    const sweep = { axes: ['guidance'] as const, ...options }
    const named = await sweepGuidance(evaluate, { ...sweep, metrics: ['kid', 'is'] })
    expect([named.by, named.best.scale]).toEqual(['kid', 2])
    const highest = await sweepGuidance(evaluate, { ...sweep, metrics: ['is', 'kid'] })
    expect([highest.by, highest.best.scale]).toEqual(['is', 3])
    expect((await sweepGuidance(landscape().evaluate, { ...sweep, metrics: ['is', 'fid'] })).by).toBe('fid')
  })

  test('refuses a metric that is not requested before it evaluates anything', async () => {
    const { asked, evaluate } = landscape()
    const sweep = { axes: ['guidance'] as const, ...options }
    await expect(sweepGuidance(evaluate, { ...sweep, metrics: ['kid', 'is'], by: 'fid' })).rejects.toThrow(
      new RangeError("Expected one of the metrics (kid, is) for by but received 'fid' of type string")
    )
    expect(asked).toEqual([])
  })

  test('ends after the first setting where its metric could not be computed, and keeps it for another', async () => {
    const { asked, evaluate } = landscape()
    const sweep = { axes: ['guidance'] as const, ...options, folder: place.path('undecided'), key: 'a' }
    await expect(sweepGuidance(evaluate, { ...sweep, by: 'precision' })).rejects.toThrow(
      'a metric that could be computed for by'
    )
    expect(asked).toHaveLength(1)
    await sweepGuidance(evaluate, sweep)
    expect(asked).toHaveLength(4)
  })

  test('refuses empty axes, and a metric that was not computed', async () => {
    await expect(sweepGuidance(landscape().evaluate, { axes: [] })).rejects.toThrow('axes')
    await expect(sweepGuidance(landscape().evaluate, { axes: ['guidance'], by: 'sfid' })).rejects.toThrow(RangeError)
  })
})
