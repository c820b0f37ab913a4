/** A profile as tables: phases, and operations over all and per phase. */

import { OTHER, type Profile, type Span } from './profile.js'

/** Time of the operations of one name, in µs over all steps. */
export interface OperationTime {
  name: string
  calls: number
  /** Without the operations within them. */
  self: number
  total: number
}

export interface PhaseTime {
  phase: string
  /** On the step's own thread, in µs over all steps, without phases within. */
  time: number
}

/** Time in a phase or a step outside operations: our own code, and waiting. */
export const OUTSIDE = '(outside operations)'

/** Times of phases, the longest first; `other` is the time outside all. */
export function phaseTimes({ spans, duration }: Profile): PhaseTime[] {
  const times = new Map([[OTHER, duration]])
  const add = (phase: string, time: number) => times.set(phase, (times.get(phase) ?? 0) + time)
  const open: Span[] = []
  for (const span of spans.filter(({ kind }) => kind === 'phase')) {
    while (open.length > 0 && (open.at(-1) as Span).end <= span.begin) open.pop()
    const time = span.end - span.begin
    add(open.at(-1)?.phase ?? OTHER, -time)
    add(span.phase, time)
    open.push(span)
  }
  return [...times].map(([phase, time]) => ({ phase, time })).sort((a, b) => b.time - a.time)
}

/** Times of operations, the longest self time first. */
export function operationTimes(spans: readonly Span[]): OperationTime[] {
  const times = new Map<string, OperationTime>()
  for (const { name: own, kind, self, isNested, begin, end } of spans) {
    const name = kind === 'operation' ? own : OUTSIDE
    const time = times.get(name) ?? { name, calls: 0, self: 0, total: 0 }
    times.set(name, time)
    time.calls += 1
    time.self += self
    if (name === OUTSIDE) time.total += self
    else if (!isNested) time.total += end - begin
  }
  return [...times.values()].sort((a, b) => b.self - a.self)
}

/** A Markdown table, padded to be readable as plain text; all columns but the first are numbers. */
function markdownTable(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)))
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)
  const line = (cells: string[]) => `| ${cells.map(pad).join(' | ')} |`
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)]
}

/**
 * Formats a profile as Markdown.
 * @param options - `most`: rows of each table of operations; `each`: also a table per phase
 */
export function profileTable(
  profile: Profile,
  { device, most, each }: { device: string; most: number; each: boolean }
): string {
  const { first, last, steps, duration, spans } = profile
  const milliseconds = (time: number) => (time / 1000 / steps).toFixed(2)
  const share = (time: number) => `${((100 * time) / duration).toFixed(1)} %`
  const operations = (chosen: readonly Span[]) => {
    const times = operationTimes(chosen)
    const rows = times.slice(0, most).map(({ name, calls, self, total }) => {
      const callsPerStep = (calls / steps).toFixed(1).replace(/\.0$/, '')
      return [name, callsPerStep, milliseconds(self), milliseconds(total), share(self)]
    })
    const others = times.slice(most)
    if (others.length > 0) {
      const self = others.reduce((sum, one) => sum + one.self, 0)
      rows.push([`(${others.length} others)`, '', milliseconds(self), '', share(self)])
    }
    return markdownTable(['operation', 'calls', 'self ms', 'total ms', 'share of self'], rows)
  }
  const phases = phaseTimes(profile)
  const parts = [
    [`Steps ${first} to ${last} on ${device}: ${milliseconds(duration)} ms per step. All figures are per step.`],
    device.startsWith('cuda')
      ? ['Times are host times: an operation counts for as long as it takes to launch; the device runs asynchronously.']
      : [],
    markdownTable(
      ['phase', 'ms', 'share'],
      phases.map(({ phase, time }) => [phase, milliseconds(time), share(time)])
    ),
    operations(spans),
    ...(each
      ? phases.flatMap(({ phase }) => {
          const within = spans.filter((span) => span.phase === phase)
          return within.length > 0 ? [[`## ${phase}`], operations(within)] : []
        })
      : [])
  ]
  const blocks = parts.filter((lines) => lines.length > 0)
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}
