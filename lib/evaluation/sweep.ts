import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { oneOf } from '../checks.js'
import { outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import type { GenerationEvaluation } from './generation.js'
import { type GenerationMetric, generationMetrics } from './metric-names.js'

/** A guidance scale and the times between which it acts, 0 noise and 1 data. */
export interface Guidance {
  scale: number
  low: number
  high: number
}

export type SweepAxis = 'guidance' | 'interval'

export interface SweepPoint extends Guidance {
  metrics: GenerationEvaluation
}

export interface Sweep {
  /** The metric that decides. */
  by: GenerationMetric
  best: SweepPoint
  /** Every setting, in the order of evaluation. */
  points: SweepPoint[]
}

export interface SweepOptions {
  /** One after the other, each at the best of what came before: `['guidance', 'interval']`. An axis may come twice. */
  axes: readonly SweepAxis[]
  /** Scales to try. */
  scales?: readonly number[]
  /** Intervals to try. */
  intervals?: readonly (readonly [number, number])[]
  /** Where the first axis starts. Default: no guidance, at all times. */
  start?: Guidance
  /** What is best: the lowest fid or sfid, the highest of others. Default `fid`. */
  by?: GenerationMetric
  /** Keeps `sweep.json` here, so that the same sweep goes on after an interruption. */
  folder?: string
  /** What the sweep is of; another one's points are not taken up. */
  key?: string
  /** Before each setting that is evaluated anew. */
  onPoint?: (guidance: Guidance, done: number) => void
}

export const sweepDefaults = {
  scales: [1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4],
  intervals: [
    [0, 1],
    [0.1, 1],
    [0.2, 1],
    [0.3, 1],
    [0, 0.9],
    [0.1, 0.9],
    [0.2, 0.9],
    [0.3, 0.9],
    [0, 0.8],
    [0.1, 0.8],
    [0.2, 0.8],
    [0.3, 0.8]
  ]
} as const satisfies Partial<SweepOptions>

const lowerIsBetter: readonly GenerationMetric[] = ['fid', 'sfid']

const same = (a: Guidance, b: Guidance) =>
  a.scale === b.scale && (a.scale === 1 || (a.low === b.low && a.high === b.high))

/**
 * The search for the best guidance (the paper's "optimal CFG"): scales, then intervals at the best scale, or as `axes` tell.
 * @param evaluate - the metrics of images drawn with a guidance
 */
export async function sweepGuidance(
  evaluate: (guidance: Guidance) => Promise<GenerationEvaluation>,
  options: SweepOptions
): Promise<Sweep> {
  const { axes, start = { scale: 1, low: 0, high: 1 }, by = 'fid', folder, key = '', onPoint } = options
  const { scales = sweepDefaults.scales, intervals = sweepDefaults.intervals } = options
  if (!Array.isArray(axes) || axes.length === 0) throw outOfRange('axes', 'guidance, interval or both', axes)
  for (const axis of axes) oneOf('axes', ['guidance', 'interval'], axis)
  oneOf('by', generationMetrics, by)
  const file = folder === undefined ? null : join(folder, 'sweep.json')
  if (folder !== undefined) await mkdir(folder, { recursive: true })
  const points: SweepPoint[] = file ? await earlier(file, key) : []
  const visited: SweepPoint[] = []
  const visit = async (guidance: Guidance): Promise<void> => {
    if (visited.some((point) => same(point, guidance))) return
    let point = points.find((one) => same(one, guidance))
    if (!point) {
      onPoint?.(guidance, visited.length)
      point = { ...guidance, metrics: await evaluate(guidance) }
      points.push(point)
      if (file) await writeJson(file, { formatVersion: 1, key, by, points })
    }
    visited.push(point)
  }
  let best: Guidance = start
  for (const axis of axes) {
    const settings =
      axis === 'guidance'
        ? scales.map((scale) => ({ ...best, scale }))
        : intervals.map(([low, high]) => ({ ...best, low, high }))
    for (const guidance of settings) await visit(guidance)
    best = bestOf(visited, by)
  }
  return { by, best: bestOf(visited, by), points: visited }
}

function bestOf(points: readonly SweepPoint[], by: GenerationMetric): SweepPoint {
  const sign = lowerIsBetter.includes(by) ? 1 : -1
  const value = ({ metrics }: SweepPoint) => sign * (metrics[by] ?? Number.NaN)
  const judged = points.filter((point) => !Number.isNaN(value(point)))
  if (judged.length === 0) throw outOfRange('by', 'a metric that could be computed', by)
  return judged.reduce((best, point) => (value(point) < value(best) ? point : best))
}

async function earlier(file: string, key: string): Promise<SweepPoint[]> {
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) return []
  const saved = JSON.parse(text) as { key: string; points: SweepPoint[] }
  return saved.key === key ? saved.points : []
}
