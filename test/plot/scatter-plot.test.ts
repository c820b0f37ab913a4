import { expect, test } from '@jest/globals'
import { scatterPlot } from '../../lib/plot/scatter-plot.js'

test('draws a point per sample, coloured by class, with a legend', () => {
  const points = [
    { x: 0, y: 0, label: 0 },
    { x: 1, y: 2, label: 1 },
    { x: 2, y: 1, label: -1 }
  ]
  const svg = scatterPlot({ title: 'PCA <1>', points, classes: ['cat', "dog's"] })
  // Two of them are the legend's.
  expect(svg.match(/<circle/g)).toHaveLength(3 + 2)
  expect(svg).toContain('PCA &lt;1&gt;')
  expect(svg).toContain('dog&#39;s')
})

test('draws more points than a call takes arguments', () => {
  const points = Array.from({ length: 200_000 }, (_, x) => ({ x, y: -x, label: -1 }))
  expect(scatterPlot({ title: 'PCA', points })).not.toMatch(/NaN|Infinity/)
})

test('refuses no points', () => {
  expect(() => scatterPlot({ title: 'PCA', points: [] })).toThrow('Expected one or more points for points')
})
