import { join } from 'node:path'
import type { z } from 'zod'
import { callback, callbacks, object } from '../checks.js'
import { parseConfig } from '../config.js'
import { outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { parseJsonObject, readText } from '../files/read.js'
import type { GenerationEvaluation } from './generation.js'
import { type GenerationMetric, generationMetrics } from './metric-names.js'
import { sweepSchema } from './schema.js'

/** A guidance scale and the times between which it applies, 0 noise and 1 data. */
export interface Guidance {
  scale: number
  low: number
  high: number
}

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

export interface SweepOptions extends z.input<typeof sweepSchema> {
  /** What `evaluate` computes, so that another `by` is refused before anything is evaluated. Default: all. */
  metrics?: readonly GenerationMetric[]
  /** Where the first axis starts. Default: no guidance, at all times. */
  start?: Guidance
  /** Keeps `sweep.json` here, from which an interrupted sweep resumes. */
  folder?: string | undefined
  /** Identifies what the sweep evaluates; points saved under another key are ignored. */
  key?: string
  /** Called before each setting that is evaluated, not read from `folder`. */
  onPoint?: (guidance: Guidance, done: number) => void
}

const lowerIsBetter: readonly GenerationMetric[] = ['fid', 'sfid', 'kid', 'fdDinov2', 'kdDinov2']

const same = (a: Guidance, b: Guidance) =>
  a.scale === b.scale && (a.scale === 1 || (a.low === b.low && a.high === b.high))

/**
 * The metric that decides a sweep: `by`; by default FID if it is among the metrics, else the first of them.
 * @throws {RangeError} a metric that is not among them
 */
export function decidingMetric(
  by: GenerationMetric | undefined,
  metrics: readonly GenerationMetric[]
): GenerationMetric {
  const metric = by ?? (metrics.includes('fid') ? 'fid' : metrics[0])
  if (metric !== undefined && metrics.includes(metric)) return metric
  throw outOfRange('by', `one of the metrics (${metrics.join(', ')})`, by)
}

/**
 * Searches the best guidance (the paper's "optimal CFG"): scales, then intervals at the best scale, or in the order of `axes`.
 * @param evaluate - computes the metrics of images drawn with a guidance
 * @throws {TypeError | RangeError} wrong options
 */
export async function sweepGuidance(
  evaluate: (guidance: Guidance) => Promise<GenerationEvaluation>,
  options: SweepOptions
): Promise<Sweep> {
  callback('evaluate', evaluate)
  object('options', 'an object', options)
  const {
    start = { scale: 1, low: 0, high: 1 },
    folder,
    key = '',
    metrics = generationMetrics,
    onPoint,
    ...settings
  } = options
  callbacks({ onPoint })
  const { axes, scales, intervals, by: wanted } = parseConfig(sweepSchema, settings)
  const by = decidingMetric(wanted, metrics)
  const file = folder === undefined ? null : join(folder, 'sweep.json')
  if (folder !== undefined) await makeFolder(folder)
  const points: SweepPoint[] = file ? await readPoints(file, key) : []
  const visited: SweepPoint[] = []
  const visit = async (guidance: Guidance): Promise<void> => {
    if (visited.some((point) => same(point, guidance))) return
    const saved = points.find((one) => same(one, guidance))
    if (!saved) onPoint?.(guidance, visited.length)
    const point = saved ?? { ...guidance, metrics: await evaluate(guidance) }
    visited.push(point)
    if (!saved) {
      points.push(point)
      if (file) await writeJson(file, { formatVersion: 1, key, by, points })
    }
    // Where the metric could not be computed, no other setting is drawn in vain.
    bestOf(visited, by)
  }
  let best: Guidance = start
  for (const axis of axes) {
    const candidates =
      axis === 'guidance'
        ? scales.map((scale) => ({ ...best, scale }))
        : intervals.map(([low, high]) => ({ ...best, low, high }))
    for (const guidance of candidates) await visit(guidance)
    const { scale, low, high } = bestOf(visited, by)
    best = { scale, low, high }
  }
  return { by, best: bestOf(visited, by), points: visited }
}

function bestOf(points: readonly SweepPoint[], by: GenerationMetric): SweepPoint {
  const sign = lowerIsBetter.includes(by) ? 1 : -1
  const value = ({ metrics }: SweepPoint) => sign * (metrics[by] ?? Number.NaN)
  const measured = points.filter((point) => !Number.isNaN(value(point)))
  if (measured.length === 0) throw outOfRange('by', 'a metric that could be computed', by)
  return measured.reduce((best, point) => (value(point) < value(best) ? point : best))
}

async function readPoints(file: string, key: string): Promise<SweepPoint[]> {
  const text = await readText(file)
  if (text === null) return []
  const saved = parseJsonObject(text, file) as unknown as { key: string; points: SweepPoint[] }
  return saved.key === key ? saved.points : []
}
