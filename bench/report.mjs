/** Tables of what was measured, and docs/benchmarks.md. */

import { readFileSync, writeFileSync } from 'node:fs'
import { cases } from './cases.mjs'
import { judgeAlone, judgeRatio, summarize } from './verdict.mjs'

const DOCS = new URL('../docs/benchmarks.md', import.meta.url)
const [BEGIN, END] = ['<!-- figures -->', '<!-- end of figures -->']

const row = (cells) => `| ${cells.join(' | ')} |`
export const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const time = (seconds) => (seconds < 1 ? `${(seconds * 1000).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`)
const megabytes = (bytes) => (bytes > 0 ? `${Math.round(bytes / 2 ** 20)} MB` : '')
const percent = (part) => `${Math.round(part * 100)} %`
const times = (ratio) => `${ratio.toFixed(2)} ×`

/** The rows with their sides' figures and marks, which their measurements decide. */
const judged = ({ rows }) =>
  rows.map((row) => ({
    ...row,
    measured: row.measured.map((side) => ({ ...side, ...summarize(side.seconds, side.settled) }))
  }))

/** One line per side: median, spread, ratio, memory, and why the line is unsteady. */
export const resultsTable = (results) =>
  table(
    ['case', 'size', 'dtype', 'side', 'median', 'spread', 'us ÷ it', 'peak memory', 'losses apart', 'unsteady'],
    judged(results).flatMap(({ case: name, size, dtype, measured: [ours, ...others] }) =>
      [ours, ...others].map((side) => [
        ...[name, size, dtype, side.name, time(side.median), time(side.spread)],
        side === ours ? '' : times(side.median / ours.median),
        megabytes(side.memory),
        side.apart === undefined ? '' : side.apart.toExponential(0),
        side.mark
      ])
    )
  )

/** The share of the rate of matrix products that training steps reach. */
export const limitTable = ({ rows, limits }) => {
  const shares = rows.filter(({ flops, dtype }) => flops && limits[dtype])
  if (shares.length === 0) return ''
  const share = ({ flops, dtype }, side) => percent(flops / side.median / limits[dtype])
  const head = ['case', 'size', 'dtype', 'model FLOPs', 'limit', ...shares[0].measured.map(({ name }) => name)]
  return table(
    head,
    shares.map((one) => [
      ...[one.case, one.size, one.dtype, `${(one.flops / 1e9).toPrecision(4)} G`],
      `${(limits[one.dtype] / 1e9).toFixed(0)} GFLOP/s`,
      ...one.measured.map((side) => share(one, side))
    ])
  )
}

/** Every goal against what was measured. */
export function goals(results) {
  return judged(results).flatMap((result) => {
    const { goals: wanted, sizes } = cases[result.case]
    const [ours, ...others] = result.measured
    const what = [result.case, result.size, result.dtype]
    /** @type {{ what: string[], goal: string, measured: string, outcome: 'met' | 'missed' | 'unsteady' }[]} */
    const lines = []
    for (const kind of ['eager', 'compiled']) {
      const ratio = result.ratio[kind]
      const goal = sizes[result.size].goal ?? wanted[kind]
      if (!goal || !ratio) continue
      const variants = others.filter(({ name }) => name.startsWith(kind))
      const isComplete = !Object.keys(result.errors ?? {}).some((name) => name.startsWith(kind))
      const outcome = judgeRatio(ours, variants, goal, isComplete)
      lines.push({ what, goal: `≥ ${goal} × ${kind}`, measured: times(ratio), outcome })
    }
    const share = wanted.share?.[result.size]
    if (share && results.limits[result.dtype]) {
      const reached = result.flops / ours.median / results.limits[result.dtype]
      const outcome = judgeAlone(ours, reached >= share)
      lines.push({ what, goal: `≥ ${percent(share)} of the limit`, measured: percent(reached), outcome })
    }
    if (wanted.seconds)
      lines.push({
        what,
        goal: `< ${time(wanted.seconds)}`,
        measured: time(ours.median),
        outcome: judgeAlone(ours, ours.median < wanted.seconds)
      })
    if (cases[result.case].fixtures === 'tokenizer' && result.memory && result.case !== 'start') {
      lines.push({
        what,
        goal: 'memory ≤ 0.8 ×',
        measured: times(result.memory),
        outcome: result.memory <= 0.8 ? 'met' : 'missed'
      })
    }
    return lines
  })
}

export const goalsTable = (results) =>
  table(
    ['case', 'size', 'dtype', 'goal', 'measured', ''],
    goals(results).map(({ what, goal, measured, outcome }) => [
      ...what,
      goal,
      measured,
      outcome === 'missed' ? '**missed**' : outcome
    ])
  )

/** Replaces the figures between the two marks of docs/benchmarks.md, and nothing around them. */
export function writeDocs(results) {
  const { machine } = results
  const text = readFileSync(DOCS, 'utf8')
  const [before, rest] = text.split(BEGIN)
  const after = rest?.split(END)[1]
  if (after === undefined) throw new Error(`docs/benchmarks.md has no ${BEGIN} … ${END}`)
  const figures = [
    `${machine.date}, ${machine.cores} cores (${machine.cpu}), ${Math.round(machine.memory / 2 ** 30)} GB, ${machine.threads} threads on both sides; LibTorch and PyTorch ${machine.torch}, Node ${machine.node}, device ${machine.device}.`,
    goalsTable(results),
    limitTable(results),
    resultsTable(results)
  ]
  writeFileSync(DOCS, `${before}${BEGIN}\n\n${figures.join('\n\n')}\n\n${END}${after}`)
}
