/** A profile as tables: phases, and operations over all and in each phase. */

import { OTHER, type Profile, type Span } from './profile.js'

/** What operations of one name took, in µs over all steps. */
export interface OperationTime {
  name: string
  calls: number
  /** Less the operations that they called themselves. */
  self: number
  total: number
}

export interface PhaseTime {
  phase: string
  /** Of the step's own thread, in µs over all steps, less phases within. */
  time: number
}

/** Time in a phase, or in a step, but in no operation: our own code, and waiting. */
export const OUTSIDE = '(outside operations)'

/** Phases by their time, the longest first; what lies in none is `other`. */
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

/** Operations by their self time, the longest first. */
export function operationTimes(spans: readonly Span[]): OperationTime[] {
  const found = new Map<string, OperationTime>()
  for (const { name: own, kind, self, recurs, begin, end } of spans) {
    const name = kind === 'operation' ? own : OUTSIDE
    const time = found.get(name) ?? { name, calls: 0, self: 0, total: 0 }
    found.set(name, time)
    time.calls += 1
    time.self += self
    if (name === OUTSIDE) time.total += self
    else if (!recurs) time.total += end - begin
  }
  return [...found.values()].sort((a, b) => b.self - a.self)
}

/** Lines of Markdown, padded so that they also read well as they are; all columns but the first are numbers. */
function markdown(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)))
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)
  const line = (cells: string[]) => `| ${cells.map(pad).join(' | ')} |`
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)]
}

/** The tables; `most`: rows of one of operations. With `each`, one for each phase too. */
export function profileTable(
  profile: Profile,
  { device, most, each }: { device: string; most: number; each: boolean }
): string {
  const { first, last, steps, duration, spans } = profile
  const milliseconds = (time: number) => (time / 1000 / steps).toFixed(2)
  const share = (time: number) => `${((100 * time) / duration).toFixed(1)} %`
  const operations = (chosen: readonly Span[]) => {
    const found = operationTimes(chosen)
    const rows = found
      .slice(0, most)
      .map(({ name, calls, self, total }) => [
        ...[name, (calls / steps).toFixed(1).replace(/\.0$/, '')],
        ...[milliseconds(self), milliseconds(total), share(self)]
      ])
    const others = found.slice(most)
    if (others.length > 0) {
      const self = others.reduce((sum, one) => sum + one.self, 0)
      rows.push([`(${others.length} others)`, '', milliseconds(self), '', share(self)])
    }
    return markdown(['operation', 'calls', 'self ms', 'total ms', 'share of self'], rows)
  }
  const phases = phaseTimes(profile)
  const parts = [
    [`Steps ${first} to ${last} on ${device}: ${milliseconds(duration)} ms each. All figures are those of one step.`],
    ...(device.startsWith('cuda')
      ? [
          [
            'Times are those of the host: an operation counts for as long as it takes to launch, the device works on behind it.'
          ]
        ]
      : []),
    markdown(
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
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`
}
