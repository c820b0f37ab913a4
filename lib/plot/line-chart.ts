/** Line charts as self-contained SVG: no script, no external style, light and dark. */

import { scaleLinear, scaleLog, scalePoint } from 'd3-scale'
import { area, line } from 'd3-shape'
import { isRecord, natural, objects, positive } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { escapeXml } from '../escape.js'
import { extent } from './extent.js'
import { strokeOf } from './palette.js'

type ScaleLinear = ReturnType<typeof scaleLinear<number, number>>
type ScaleLog = ReturnType<typeof scaleLog<number, number>>

/** x, y, and for several runs the ends of their spread. */
export interface PlotPoint {
  x: number | string
  y: number
  low?: number
  high?: number
}

export interface PlotSeries {
  name: string
  points: readonly PlotPoint[]
  /** Its place in the palette. Default: its place among the series. */
  index?: number
}

/** A horizontal line that the series are compared with. */
export interface PlotRule {
  y: number
  name: string
}

export interface LineChart {
  title: string
  xLabel: string
  yLabel: string
  series: readonly PlotSeries[]
  rules?: readonly PlotRule[]
  /** Logarithmic y; values that are not positive are skipped. Default false. */
  log?: boolean | undefined
  /** The same for x. Default false. */
  logX?: boolean | undefined
  /** Pixels; the drawing scales. Default 640 × 360. */
  width?: number
  height?: number
  /** `auto`: dark where the reader prefers it; `inherit`: the colour of the text around an inlined chart. Default `auto`. */
  theme?: 'auto' | 'inherit'
}

const at = (value: number) => String(Math.round(value * 100) / 100)

/** A number on a logarithmic axis: 0.01 and 100, but 1e-4 and 1e6. */
const power = (value: number) =>
  value >= 1e-3 && value < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential().replace('e+', 'e')

/** d3's texts of ticks; on a logarithmic axis it only says which ones get a text, because it would write 100µ. */
function tickFormat(scale: ScaleLinear | ScaleLog, count: number): (value: number) => string {
  const format = scale.tickFormat(count)
  return 'base' in scale ? (value) => (format(value) === '' ? '' : power(value)) : format
}

const style = (theme: LineChart['theme']) => {
  const root = theme === 'inherit' ? '' : '.mactok-chart{color:#1f2328;background:#fff}'
  const dark =
    theme === 'inherit' ? '' : '@media(prefers-color-scheme:dark){.mactok-chart{color:#e6edf3;background:#0d1117}}'
  return `<style>${root}.mactok-chart{font:12px system-ui,sans-serif}.mactok-chart text{fill:currentColor}${dark}</style>`
}

interface Scales {
  x: (value: number | string) => number
  y: (value: number) => number
  xTicks: { at: number; text: string }[]
  yTicks: { at: number; text: string }[]
}

/** Whether an axis has a place for a value. */
const isDrawable = (value: number, log: boolean | undefined) => Number.isFinite(value) && (!log || value > 0)

/** The series without points that cannot be drawn. */
const drawable = (chart: LineChart): Required<PlotSeries>[] =>
  chart.series.map(({ name, points, index }, i) => ({
    name,
    index: index ?? i,
    points: points.filter(
      ({ x, y }) => (typeof x === 'string' || isDrawable(x, chart.logX)) && isDrawable(y, chart.log)
    )
  }))

function scales(
  chart: LineChart,
  series: PlotSeries[],
  box: { left: number; right: number; top: number; bottom: number }
): Scales {
  const points = series.flatMap((one) => one.points)
  const heights = [
    ...points.flatMap(({ y, low = y, high = y }) => [y, low, high]),
    ...(chart.rules ?? []).map(({ y }) => y)
  ]
  const [lowest, highest] = extent(heights.filter((value) => isDrawable(value, chart.log)))
  const margin = lowest === highest ? Math.abs(lowest) * 0.1 || 1 : 0
  const yScale = (chart.log ? scaleLog() : scaleLinear())
    .domain([lowest - (chart.log ? lowest * 0.1 : margin), highest + margin])
    .range([box.bottom, box.top])
    .nice()
  const format = tickFormat(yScale, 5)
  const yTicks = yScale
    .ticks(5)
    .map((value) => ({ at: yScale(value), text: format(value) }))
    .filter(({ text }) => text !== '')
  const places = points.map(({ x }) => x)
  if (places.some((x) => typeof x === 'string')) {
    const names = [...new Set(places.map(String))]
    const xScale = scalePoint().domain(names).range([box.left, box.right]).padding(0.3)
    const x = (value: number | string) => xScale(String(value)) as number
    return { x, y: yScale, yTicks, xTicks: names.map((name) => ({ at: x(name), text: name })) }
  }
  const [first, last] = extent(places as number[])
  // A single place stands in the middle.
  const domain = chart.logX && first === last ? [first / 2, last * 2] : [first, last]
  const xScale = (chart.logX ? scaleLog() : scaleLinear()).domain(domain).range([box.left, box.right])
  const text = tickFormat(xScale, 6)
  const xTicks = xScale
    .ticks(6)
    .map((value) => ({ at: xScale(value), text: text(value) }))
    .filter((tick) => tick.text !== '')
  return { x: (value) => xScale(value as number), y: yScale, yTicks, xTicks }
}

function drawSeries({ points, index }: Required<PlotSeries>, { x, y }: Scales, floor: number): string {
  const { colour, dash } = strokeOf(index)
  const spread = points.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high))
  // On a logarithmic axis a spread that reaches 0 ends at the axis.
  const height = (value: number) => (Number.isFinite(y(value)) ? y(value) : floor)
  const band = area<PlotPoint>(
    (point) => x(point.x),
    (point) => height(point.low as number),
    (point) => height(point.high as number)
  ).digits(2)
  const path = line<PlotPoint>(
    (point) => x(point.x),
    (point) => y(point.y)
  ).digits(2)
  const dots = points.length <= 12 ? points : []
  return [
    spread.length > 1 ? `<path d="${band(spread)}" fill="${colour}" fill-opacity=".15"/>` : '',
    // A band of one point has no area.
    ...(spread.length === 1 ? spread : []).map(
      (point) =>
        `<path d="M${at(x(point.x))} ${at(height(point.low as number))}V${at(height(point.high as number))}" stroke="${colour}" stroke-opacity=".6"/>`
    ),
    `<path d="${path([...points])}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"${dash ? ` stroke-dasharray="${dash}"` : ''}/>`,
    ...dots.map((point) => `<circle cx="${at(x(point.x))}" cy="${at(y(point.y))}" r="3" fill="${colour}"/>`)
  ].join('')
}

function checkChart(chart: LineChart): void {
  if (!isRecord(chart)) throw invalidParameter('chart', 'an object', chart)
  const { series, rules = [] } = chart as LineChart
  for (const name of ['title', 'xLabel', 'yLabel'] as const) checkText(name, chart[name])
  for (const name of ['width', 'height'] as const) if (chart[name] !== undefined) positive(name, chart[name])
  objects('series', series)
  objects('rules', rules)
  for (const [i, { name, points, index }] of series.entries()) {
    checkText(`series[${i}].name`, name)
    if (index !== undefined) natural(`series[${i}].index`, index)
    objects(`series[${i}].points`, points)
    for (const { x, y, low, high } of points) {
      if (typeof x !== 'string') checkNumber('x', x)
      for (const height of [y, low ?? y, high ?? y]) checkNumber('y', height)
    }
  }
  for (const { y, name } of rules) {
    checkNumber('y', y)
    checkText('name', name)
  }
}

function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidParameter(name, 'a text', value)
}

/** Numbers that are not finite are skipped. */
function checkNumber(name: string, value: unknown): void {
  if (typeof value !== 'number') throw invalidParameter(name, 'a number', value)
}

/**
 * Draws one or more series, with a legend where there are several.
 * @returns an `<svg>` element
 * @throws {TypeError | RangeError} for what is no chart, and when there is nothing to draw
 */
export function lineChart(chart: LineChart): string {
  checkChart(chart)
  const { width = 640, height = 360, rules = [], theme = 'auto' } = chart
  const series = drawable(chart)
  if (!series.some(({ points }) => points.length > 0)) {
    throw outOfRange('series', `at least one value that can be drawn in "${chart.title}"`, chart.series)
  }
  const legend = series.length > 1 ? series.map(({ name }) => name) : []
  const perRow = Math.max(1, Math.floor((width - 64) / (Math.max(1, ...legend.map(({ length }) => length)) * 7 + 40)))
  const rows = Math.ceil(legend.length / perRow)
  const box = { left: 64, right: width - 16, top: 34 + rows * 18, bottom: height - 44 }
  const { x, y, xTicks, yTicks } = scales(chart, series, box)
  const text = (content: string, attributes: string) => `<text ${attributes}>${escapeXml(content)}</text>`
  const parts = [
    text(chart.title, `x="${box.left}" y="20" font-size="14" font-weight="600"`),
    ...legend.map((name, i) => {
      const left = box.left + (i % perRow) * ((box.right - box.left) / perRow)
      const top = 38 + Math.floor(i / perRow) * 18
      const { colour, dash } = strokeOf(series[i]?.index ?? i)
      const mark = `<path d="M${at(left)} ${top - 4}h18" stroke="${colour}" stroke-width="3"${dash ? ` stroke-dasharray="${dash}"` : ''}/>`
      return mark + text(name, `x="${at(left + 24)}" y="${top}"`)
    }),
    ...yTicks.map(
      (tick) =>
        `<path d="M${box.left} ${at(tick.at)}H${box.right}" stroke="currentColor" stroke-opacity=".15"/>` +
        text(tick.text, `x="${box.left - 8}" y="${at(tick.at + 4)}" text-anchor="end"`)
    ),
    `<path d="M${box.left} ${box.bottom}H${box.right}" stroke="currentColor"/>`,
    ...xTicks.map((tick) => text(tick.text, `x="${at(tick.at)}" y="${box.bottom + 18}" text-anchor="middle"`)),
    text(chart.xLabel, `x="${(box.left + box.right) / 2}" y="${height - 8}" text-anchor="middle"`),
    text(chart.yLabel, `transform="rotate(-90)" x="${-(box.top + box.bottom) / 2}" y="14" text-anchor="middle"`),
    ...rules
      .filter((rule) => Number.isFinite(y(rule.y)))
      .map(
        (rule) =>
          `<path d="M${box.left} ${at(y(rule.y))}H${box.right}" stroke="currentColor" stroke-dasharray="4 4"/>` +
          text(rule.name, `x="${box.right}" y="${at(y(rule.y) - 5)}" text-anchor="end" font-style="italic"`)
      ),
    ...series.map((one) => drawSeries(one, { x, y, xTicks, yTicks }, box.bottom))
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" class="mactok-chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(chart.title)}">${style(theme)}${parts.join('')}</svg>`
}
