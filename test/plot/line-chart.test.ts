import { expect, test } from '@jest/globals'
import sharp from 'sharp'
import { type LineChart, lineChart } from '../../lib/plot/line-chart.js'

const chart = (changes: Partial<LineChart> = {}): LineChart => ({
  title: 'PSNR',
  xLabel: 'step',
  yLabel: 'dB',
  series: [
    {
      name: 'plain',
      points: [
        { x: 0, y: 10 },
        { x: 100, y: 20 }
      ]
    },
    {
      name: 'masked & aligned',
      points: [
        { x: 0, y: 10, low: 9, high: 11 },
        { x: 100, y: 30, low: 28, high: 32 }
      ]
    }
  ],
  ...changes
})
const count = (svg: string, what: RegExp) => svg.match(what)?.length ?? 0

test('draws a line per series, a band for a spread, and a legend', () => {
  const svg = lineChart(chart())
  expect(count(svg, /fill="none"/g)).toBe(2)
  expect(count(svg, /fill-opacity/g)).toBe(1)
  expect(svg).toContain('masked &amp; aligned')
  // The first line runs from the left end of its axis to the right, upwards.
  const [, x0, y0, x1, y1] = /d="M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)" fill="none"/.exec(svg) ?? []
  expect([Number(x0), Number(x1)]).toEqual([64, 624])
  expect(Number(y1)).toBeLessThan(Number(y0))
})

test('renders as an image', async () => {
  const { width, height } = await sharp(Buffer.from(lineChart(chart({ width: 400, height: 300 })))).metadata()
  expect([width, height]).toEqual([400, 300])
})

test("follows the reader's theme or the page's", () => {
  expect(lineChart(chart())).toContain('prefers-color-scheme:dark')
  expect(lineChart(chart({ theme: 'inherit' }))).not.toContain('prefers-color-scheme')
})

test('a logarithmic axis skips values that are not positive; a rule is labelled', () => {
  const points = [0, 1, 10, 100].map((y, x) => ({ x, y }))
  const svg = lineChart(chart({ log: true, series: [{ name: 'kl', points }], rules: [{ y: 5, name: 'bound' }] }))
  expect(count(svg, /<circle/g)).toBe(3)
  expect(svg).toContain('>bound<')
  expect(svg).not.toMatch(/NaN|Infinity/)
})

test('a logarithmic x axis spaces decades evenly and skips places that are not positive', () => {
  const points = [0, 1e-6, 1e-4, 1e-2].map((x) => ({ x, y: 1 + x }))
  const svg = lineChart(chart({ logX: true, series: [{ name: 'active units', points }] }))
  const places = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map(([, x]) => Number(x))
  expect(places).toEqual([64, 344, 624])
  expect(svg).not.toMatch(/NaN|Infinity/)
  const single = lineChart(chart({ logX: true, series: [{ name: 'one', points: [{ x: 2, y: 1 }] }] }))
  expect(single).toContain('<circle cx="344"')
})

test('draws names on the axis, a single value, and equal values', () => {
  for (const points of [
    [
      { x: 'a', y: 1 },
      { x: 'b', y: 2 }
    ],
    [{ x: 1, y: 3 }],
    [
      { x: 1, y: 0 },
      { x: 2, y: 0 }
    ]
  ]) {
    expect(lineChart(chart({ series: [{ name: 'one', points }] }))).not.toMatch(/NaN|Infinity|undefined/)
  }
})

test('skips places, values, ends of spreads and rules that are not finite', () => {
  const points = [
    { x: 0, y: 1, low: 0.5, high: 1.5 },
    { x: Number.NaN, y: 2 },
    { x: Number.POSITIVE_INFINITY, y: 2 },
    { x: 1, y: Number.NaN },
    { x: 2, y: 3, low: Number.NaN, high: 4 },
    { x: 3, y: 4, low: 3, high: Number.POSITIVE_INFINITY },
    { x: 4, y: 5, low: 4.5, high: 5.5 }
  ]
  const rules = [Number.NaN, Number.POSITIVE_INFINITY, 2].map((y) => ({ y, name: `rule ${y}` }))
  for (const axes of [{}, { log: true, logX: true }]) {
    const svg = lineChart(chart({ series: [{ name: 'psnr', points }], rules, ...axes }))
    expect(svg).not.toMatch(/(?<!rule )(NaN|Infinity)/)
    // A logarithmic axis has no place for 0.
    expect(count(svg, /<circle/g)).toBe('log' in axes ? 3 : 4)
    expect(svg.match(/>rule [^<]*/g)).toEqual(['>rule 2'])
  }
  const [, band] =
    /<path d="M([^"]*)" fill="[^"]*" fill-opacity/.exec(lineChart(chart({ series: [{ name: 'psnr', points }] }))) ?? []
  // Two points have a spread: its upper ends, then its lower ones.
  expect(band?.split(/[LZ]/).filter(Boolean)).toHaveLength(4)
})

test('draws more points than a call takes arguments', () => {
  const points = Array.from({ length: 200_000 }, (_, x) => ({ x, y: x % 7 }))
  expect(lineChart(chart({ series: [{ name: 'loss', points }] }))).not.toMatch(/NaN|Infinity/)
})

test('refuses an empty chart', () => {
  expect(() => lineChart(chart({ series: [{ name: 'none', points: [{ x: 1, y: Number.NaN }] }] }))).toThrow(
    'Expected at least one value that can be drawn in "PSNR" for series'
  )
})
