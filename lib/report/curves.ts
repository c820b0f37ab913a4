/** Curves of several runs, over steps and over training time. */

import { summarise } from '../plot/summary.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { Entry, OpenedRun } from './entries.js'

/** A metric of one entry. */
export interface Curve {
  /** The entry's name. */
  run: string
  steps: number[]
  /** Seconds of training until each step, without evaluations and checkpoints; null for curves over another run's steps. */
  seconds: number[] | null
  values: number[]
  /** Standard errors over seeds, where there are several. */
  errors?: number[]
}

/** The number of points that a chart can show. */
const most = 1_000

/** Seconds of training until a step, from the logged rates. */
export function trainingClock(lines: readonly MetricsRecord[], batch: number): (step: number) => number {
  const marks: [step: number, seconds: number][] = [[0, 0]]
  for (const line of lines) {
    const rate = line.imagesPerSecond ?? line.latentsPerSecond
    const [step, seconds] = marks.at(-1) as [number, number]
    if (typeof rate === 'number' && rate > 0 && line.step > step) {
      marks.push([line.step, seconds + ((line.step - step) * batch) / rate])
    }
  }
  return (step) => {
    const after = marks.findIndex(([mark]) => mark >= step)
    const [end, endSeconds] = marks[after === -1 ? marks.length - 1 : after] as [number, number]
    if (after <= 0) return endSeconds
    const [start, startSeconds] = marks[after - 1] as [number, number]
    return startSeconds + ((endSeconds - startSeconds) * (step - start)) / (end - start)
  }
}

export const clockOf = ({ lines, record }: OpenedRun) => trainingClock(lines, record.settled.batch)

/** Values by step of each metric, `loss/kl`; numbered ones, such as those per channel, are left out. */
function readSeries(lines: readonly MetricsRecord[]): Map<string, Map<number, number>> {
  const series = new Map<string, Map<number, number>>()
  const put = (name: string, step: number, value: unknown) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return
    if (!series.has(name)) series.set(name, new Map())
    series.get(name)?.set(step, value)
  }
  for (const { step, ...metrics } of lines) {
    for (const [name, value] of Object.entries(metrics)) {
      if (typeof value === 'number') put(name, step, value)
      else
        for (const [part, number] of Object.entries(value ?? {})) {
          if (!/^\d+$/.test(part)) put(`${name}/${part}`, step, number)
        }
    }
  }
  return series
}

/** The curve of a metric: with several seeds the mean, at the steps that all have. */
function curveOf({ name: run, runs }: Entry, bySeed: Map<number, number>[], isTimed: boolean): Curve {
  const shared = [...(bySeed[0]?.keys() ?? [])].filter((step) => bySeed.every((values) => values.has(step)))
  const every = Math.ceil(shared.length / most)
  const steps = shared.filter((_, i) => i % every === 0 || i === shared.length - 1)
  const points = steps.map((step) => summarise(bySeed.map((values) => values.get(step) as number)))
  const clocks = runs.map(clockOf)
  return {
    run,
    steps,
    seconds: isTimed ? steps.map((step) => summarise(clocks.map((clock) => clock(step))).mean) : null,
    values: points.map(({ mean }) => mean),
    ...(runs.length > 1 && { errors: points.map(({ error }) => error ?? 0) })
  }
}

/** The curves of every metric that an entry's runs have logged, by the metric's name. */
export function compareCurves(entries: readonly Entry[]): Record<string, Curve[]> {
  const curves: Record<string, Curve[]> = {}
  for (const entry of entries) {
    const bySeed = entry.runs.map(({ lines }) => readSeries(lines))
    for (const name of bySeed[0]?.keys() ?? []) {
      const values = bySeed.map((series) => series.get(name) ?? new Map<number, number>())
      const curve = curveOf(entry, values, !name.startsWith('generation/'))
      if (curve.steps.length > 0) curves[name] = [...(curves[name] ?? []), curve]
    }
  }
  return curves
}
