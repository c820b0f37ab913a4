/** Scatter plots as self-contained SVG: no script, no external style, light and dark. */

import { scaleLinear } from 'd3-scale'
import { outOfRange } from '../errors.js'
import { escapeXml } from '../escape.js'
import { extent } from './extent.js'

export interface ScatterPoint {
  x: number
  y: number
  /** Index of its class; -1: none. */
  label: number
}

export interface ScatterPlot {
  title: string
  xLabel?: string
  yLabel?: string
  points: readonly ScatterPoint[]
  /** Names by label; the legend has the first twenty. */
  classes?: readonly string[] | null
}

const side = 480
const legendWidth = 150
const legendLength = 20

const at = (value: number) => String(Math.round(value * 10) / 10)

/** Hues by the golden angle: neighbours differ, however many there are. */
const colour = (label: number): string =>
  label < 0 ? '#808080' : `hsl(${Math.round((label * 137.508) % 360)} 65% ${label % 2 ? 42 : 55}%)`

/**
 * Draws points coloured by class.
 * @returns an `<svg>` element
 * @throws {RangeError} when there is no point
 */
export function scatterPlot({ title, xLabel = '', yLabel = '', points, classes }: ScatterPlot): string {
  if (points.length === 0) throw outOfRange('points', 'one or more points', points)
  const labels = [...new Set(points.map(({ label }) => label))].filter((label) => label >= 0).sort((a, b) => a - b)
  const legend = labels.length > 1 ? labels.slice(0, legendLength) : []
  const scale = (values: number[], range: [number, number]) => scaleLinear().domain(extent(values)).range(range).nice()
  const x = scale(
    points.map((point) => point.x),
    [40, side - 12]
  )
  const y = scale(
    points.map((point) => point.y),
    [side - 40, 36]
  )
  const width = side + (legend.length > 0 ? legendWidth : 0)
  const radius = points.length > 1_000 ? 2 : 3.5
  const parts = [
    `<text x="40" y="20" font-size="14" font-weight="600">${escapeXml(title)}</text>`,
    ...points.map(
      (point) =>
        `<circle cx="${at(x(point.x))}" cy="${at(y(point.y))}" r="${radius}" fill="${colour(point.label)}" fill-opacity=".75"/>`
    ),
    `<text x="${side / 2}" y="${side - 10}" text-anchor="middle">${escapeXml(xLabel)}</text>`,
    `<text transform="rotate(-90)" x="${-side / 2}" y="16" text-anchor="middle">${escapeXml(yLabel)}</text>`,
    ...legend.map(
      (label, i) =>
        `<circle cx="${side + 8}" cy="${48 + i * 20}" r="5" fill="${colour(label)}"/>` +
        `<text x="${side + 20}" y="${52 + i * 20}">${escapeXml(classes?.[label] ?? String(label))}</text>`
    )
  ]
  const style =
    '.mactok-scatter{font:12px system-ui,sans-serif;color:#1f2328;background:#fff}.mactok-scatter text{fill:currentColor}' +
    '@media(prefers-color-scheme:dark){.mactok-scatter{color:#e6edf3;background:#0d1117}}'
  return `<svg xmlns="http://www.w3.org/2000/svg" class="mactok-scatter" viewBox="0 0 ${width} ${side}" width="${width}" height="${side}"><style>${style}</style>${parts.join('')}</svg>`
}
