/** An ablation's results as a table and as plots. */

import { join } from 'node:path'
import { isRecord } from '../checks.js'
import { writeJson, writeText } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { extent } from '../plot/extent.js'
import { lineChart, type PlotPoint, type PlotSeries } from '../plot/line-chart.js'
import { type Summary, summarise } from '../plot/summary.js'
import type { MetricsRecord } from '../runs/metrics.js'
import { type Column, columns, isCollapsed, valueInLog } from './measures.js'
import { type AblationConfig, withoutSecretsOf } from './schema.js'
import type { Arm } from './tables.js'

/** One finished run of a row. */
export interface AblationRun {
  seed: number
  dir: string
  /** Measured numbers by name, of the averaged weights at the end. */
  values: Record<string, number>
  metrics: MetricsRecord[]
}

export interface AblationRow {
  arm: Arm
  runs: AblationRun[]
}

export interface AblationResults {
  table: string
  config: AblationConfig
  /** PSNR of answering with the mean image in dB, see meanImagePsnr. */
  meanImage: number
  rows: AblationRow[]
}

const finite = (values: readonly (number | undefined)[]) =>
  values.filter((value): value is number => value !== undefined && Number.isFinite(value))

function summariseRow({ runs }: AblationRow, column: Column): Summary | null {
  const values = finite(runs.map((run) => run.values[column.name]))
  return values.length === 0 ? null : summarise(values)
}

function formatCell(row: AblationRow, column: Column): string {
  const summary = summariseRow(row, column)
  if (!summary) return '–'
  const { mean, error } = summary
  return error === null ? column.show(mean) : `${column.show(mean)} ± ${column.show(error)}`
}

const formatCollapsed = ({ runs }: AblationRow, meanImage: number) => {
  const count = runs.filter(({ values }) => isCollapsed(values, meanImage)).length
  return count === 0 ? 'no' : count === runs.length ? 'yes' : `${count} of ${runs.length}`
}

/** Formats the table in Markdown, without rows that have no finished run. */
export function markdownTable({ table, config, meanImage, rows }: AblationResults): string {
  const done = rows.filter(({ runs }) => runs.length > 0)
  const shown = columns.filter((column) => done.some((row) => summariseRow(row, column)))
  const paper = done.some(({ arm }) => arm.paper)
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const head = ['', ...shown.map(({ label }) => label), 'collapsed', 'seeds', ...(paper ? ['in the paper'] : [])]
  const body = done.map((row) => [
    row.arm.label,
    ...shown.map((column) => formatCell(row, column)),
    formatCollapsed(row, meanImage),
    String(row.runs.length),
    ...(paper ? [row.arm.paper ?? ''] : [])
  ])
  const unfinished = rows.length - done.length
  return [
    `# ${table}: ${config.preset}, ${config.steps} steps`,
    '',
    line(head),
    line(head.map(() => '---')),
    ...body.map(line),
    '',
    `Averaged weights, held-out images, nothing masked; ± is the standard error of the mean over seeds. The mean image has a PSNR of ${meanImage.toFixed(2)} dB; collapsed: fewer than 5 % of units are active and the PSNR is at most 0.3 dB above that.`,
    ...(unfinished > 0 ? ['', `${unfinished} rows have no finished run yet.`] : []),
    ''
  ].join('\n')
}

const formatCsv = ({ rows }: AblationResults): string => {
  const lines = rows.flatMap(({ arm, runs }) =>
    runs.map(({ seed, values }) => [arm.name, seed, ...columns.map(({ name }) => values[name] ?? '')].join(','))
  )
  return `${[['arm', 'seed', ...columns.map(({ name }) => name)].join(','), ...lines].join('\n')}\n`
}

/** A mean with its standard error where there are several seeds. */
function point(x: number, { mean, error }: Summary, scale = 1): PlotPoint {
  const y = mean * scale
  return error === null ? { x, y } : { x, y, low: y - error * scale, high: y + error * scale }
}

/** Mean and standard error over the seeds at every step at which all of a row's runs were evaluated. */
function curve({ runs }: AblationRow, column: Column): PlotPoint[] {
  const bySeed = runs.map(
    ({ metrics }) =>
      new Map(
        metrics.flatMap((line): [number, number][] => {
          const value = valueInLog(line, column)
          return value === undefined ? [] : [[line.step, value * column.scale]]
        })
      )
  )
  return [...(bySeed[0]?.keys() ?? [])].flatMap((step) => {
    const values = finite(bySeed.map((one) => one.get(step)))
    return values.length === runs.length ? [point(step, summarise(values))] : []
  })
}

/** A column over the steps, a curve per row. */
const overSteps = (rows: readonly AblationRow[], column: Column): PlotSeries[] =>
  rows.map((row) => ({ name: row.arm.label, points: curve(row, column) }))

/** A column of the finished runs over the swept setting, a curve per row of the table. */
function overValues(rows: readonly AblationRow[], column: Column): PlotSeries[] {
  const labels = [...new Set(rows.flatMap(({ arm }) => arm.swept?.label ?? []))]
  return labels.map((name) => ({
    name,
    points: rows.flatMap((row): PlotPoint[] => {
      const summary = summariseRow(row, column)
      if (!summary || row.arm.swept?.label !== name) return []
      return [point(row.arm.swept.value, summary, column.scale)]
    })
  }))
}

/** Whether values span so much that their logarithms are told apart better. */
const spansDecades = (values: readonly number[]) => {
  const lowest = Math.min(...values)
  return lowest > 0 && Math.max(...values) / lowest >= 10
}

/** Draws one column over the steps, or in a sweep over the swept setting; null where nothing was evaluated. */
export function drawColumn({ table, config, meanImage, rows }: AblationResults, column: Column): string | null {
  const { sweep } = config
  const drawn = sweep ? overValues(rows, column) : overSteps(rows, column)
  const series = drawn.filter(({ points }) => points.length > 0)
  if (series.length === 0) return null
  return lineChart({
    title: `${table}: ${column.label.replace(/ \(.*/, '')}`,
    xLabel: sweep?.setting ?? column.steps ?? 'step',
    yLabel: column.unit,
    series,
    rules: column.name === 'psnr' ? [{ y: meanImage, name: 'mean image' }] : [],
    log: column.log,
    logX: sweep ? spansDecades(sweep.values) : false
  })
}

/** Draws the KL per token over the steps: its mean over tokens and seeds, from the least to the most informative token. */
export function drawTokens({ table, rows }: AblationResults): string | null {
  const points = ({ runs }: AblationRow): PlotPoint[] => {
    const bySeed = runs.map(({ metrics }) => metrics.filter(({ klPerToken }) => isRecord(klPerToken)))
    return (bySeed[0] ?? []).flatMap(({ step }) => {
      const lines = bySeed.flatMap((lines) => lines.filter((line) => line.step === step))
      if (lines.length < runs.length) return []
      const tokens = lines.flatMap(({ klPerToken }) => Object.values(klPerToken as Record<string, number>))
      const y = tokens.reduce((sum, value) => sum + value, 0) / tokens.length
      const [low, high] = extent(tokens)
      return { x: step, y, low, high }
    })
  }
  const series = rows
    .map((row) => ({ name: row.arm.label, points: points(row) }))
    .filter((one) => one.points.length > 0)
  if (series.length === 0) return null
  return lineChart({ title: `${table}: KL per token`, xLabel: 'step', yLabel: 'nats', series })
}

/** Writes `table.md`, `table.csv`, `table.json` a plot for each column and one of the KL per token. */
export async function writeResults(dir: string, results: AblationResults): Promise<void> {
  await makeFolder(dir)
  await writeText(join(dir, 'table.md'), markdownTable(results))
  await writeText(join(dir, 'table.csv'), formatCsv(results))
  const rows = results.rows.map(({ arm, runs }) => ({
    arm: arm.name,
    label: arm.label,
    paper: arm.paper ?? null,
    mean: Object.fromEntries(columns.map((column) => [column.name, summariseRow({ arm, runs }, column)])),
    runs: runs.map(({ seed, dir: run, values }) => ({ seed, dir: run, ...values }))
  }))
  const { table, config, meanImage } = results
  await writeJson(join(dir, 'table.json'), {
    formatVersion: 1,
    table,
    meanImage,
    config: withoutSecretsOf(config),
    rows
  })
  for (const column of columns) {
    const chart = drawColumn(results, column)
    if (chart) await writeText(join(dir, `${column.name}.svg`), chart)
  }
  const tokens = drawTokens(results)
  if (tokens) await writeText(join(dir, 'klPerToken.svg'), tokens)
}
