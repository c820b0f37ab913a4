// gpu-report.md and gpu-report.json from what the parts left behind.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { goalsTable, resultsTable, table } from '../bench/report.mjs'
import { summarize } from '../bench/verdict.mjs'

const GRAPHS = { with: 'mactok', without: 'mactok, no graphs' }

/**
 * @typedef {{ passed: number, failed: number, skipped: number, failures: string[] }} Tests
 * @typedef {{ name: string, outcome?: string, seconds?: number, tests?: Tests }} Result
 */

/** @param {{ folder: string, machine: Record<string, any>, parts: Result[] }} run */
export function writeReport({ folder, machine, parts }) {
  const read = (/** @type {string} */ name) => {
    const file = join(folder, name)
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  }
  const [launches, bench] = [read('launches.json') ?? {}, read('bench.json') ?? { rows: [], limits: {} }]
  // The bench knows the stand-in device by the name of what it stands in for.
  const report = { machine: { ...bench.machine, ...machine }, parts, launches, limits: bench.limits, rows: bench.rows }
  writeFileSync(join(folder, 'gpu-report.json'), `${JSON.stringify(report)}\n`)
  writeFileSync(join(folder, 'gpu-report.md'), renderReport(report))
}

/** @param {{ machine: Record<string, any>, parts: Result[], launches: Record<string, number>, limits: Record<string, number>, rows: any[] }} report */
export function renderReport({ machine, parts, launches, limits, rows }) {
  const tests = parts.filter(({ name }) => name.startsWith('tests '))
  const sections = [
    '# Report of a run on a GPU',
    Object.entries(machine)
      .map(([name, value]) => `${name} ${name === 'memory' ? `${Math.round(value / 2 ** 30)} GiB` : value}`)
      .join(', '),
    '## Parts',
    table(
      ['part', 'outcome', 'seconds'],
      parts.map(({ name, outcome = 'not run', seconds = '' }) => [name, outcome, seconds])
    ),
    '## Tests',
    table(
      ['folder', 'passed', 'failed', 'skipped'],
      tests.map(({ name, tests: count, outcome = 'not run' }) => [
        name.slice(6),
        ...(count ? [count.passed, count.failed, count.skipped] : [outcome, '', ''])
      ])
    ),
    ...tests.flatMap(({ tests: count }) => count?.failures ?? []).map((failure) => `- ${failure}`),
    "## Operations of a training step\n\nLibTorch's operations that compute, without graphs; on a GPU most of them are one launch.",
    table(['step', 'operations'], Object.entries(launches)),
    '## Step times, bf16',
    stepsTable(rows, limits),
    '## All sides\n\nAn unsteady row meets no goal: its spread is over 10 %, it did not warm up, or it was measured once.',
    resultsTable({ rows }),
    goalsTable({ rows, limits }),
    ...rows.flatMap(({ case: name, size, errors }) =>
      Object.entries(errors ?? {}).map(([side, error]) => `- ${name} ${size}, ${side}: ${String(error).trimEnd().split('\n').at(-1)}`)
    )
  ]
  return `${sections.filter(Boolean).join('\n\n')}\n`
}

/** One line per row: our times with and without graphs, the peer's, our share of the limit, memory, images per second. @param {any[]} rows @param {Record<string, number>} limits */
function stepsTable(rows, limits) {
  const head = ['case', 'size', 'graphs', 'no graphs', 'eager', 'compiled', 'share of the limit', 'memory', "peer's", 'images/s']
  return table(
    head,
    rows.map((row) => {
      /** @param {string} name */
      const of = (name) => row.measured.find((/** @type {any} */ side) => side.name === name)
      /** @param {any} side */
      const time = (side) => {
        if (!side) return ''
        const { median, mark } = summarize(side.seconds, side.settled)
        return `${(median * 1000).toPrecision(3)} ms${mark && ' (unsteady)'}`
      }
      const memory = (/** @type {any} */ side) => (side?.memory ? `${(side.memory / 2 ** 30).toFixed(1)} GiB` : '')
      const ours = of(GRAPHS.with)
      const share = row.flops && limits[row.dtype] && row.flops / ours.median / limits[row.dtype]
      return [
        ...[row.case, row.size, time(ours), time(of(GRAPHS.without)), time(of('eager')), time(of('compiled'))],
        share ? `${Math.round(100 * share)} %` : '',
        memory(ours),
        memory(of('compiled') ?? of('eager')),
        row.images ? (row.images / ours.median).toPrecision(3) : ''
      ]
    })
  )
}
