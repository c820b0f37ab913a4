import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../checks.js'
import { generationMetrics } from '../evaluation/metric-names.js'
import { readText } from '../files/read.js'
import type { MetricsRecord } from '../runs/metrics.js'

/** One evaluation: its numbers by name. */
export interface EvaluationTable {
  name: string
  /** The step of an evaluation during training. */
  step?: number
  values: Record<string, number>
}

/** `{ a: { b: 1 } }` as entries of `{ 'a.b': 1 }`, without lists and whatever else is no number. */
function flattenNumbers(value: unknown, path: string[] = []): [string, number][] {
  if (typeof value === 'number') return [[path.join('.'), value]]
  if (!isRecord(value)) return []
  const entries = Object.entries(value).filter(([key]) => key !== 'formatVersion')
  return entries.flatMap(([key, inner]) => flattenNumbers(inner, [...path, key]))
}

/** Metrics of generated images, named as in a training's evaluations: `gfid`. */
const renamed: ReadonlyMap<string, string> = new Map(generationMetrics.map((name) => [name, `g${name}`]))

/** The evaluations of a training by their steps. */
export const evaluationsInTraining = (lines: readonly MetricsRecord[]): EvaluationTable[] =>
  lines.flatMap(({ step, evaluation }) =>
    isRecord(evaluation) ? [{ name: 'in training', step, values: Object.fromEntries(flattenNumbers(evaluation)) }] : []
  )

/** Reads the evaluations in a run folder (`evaluation*.json`, an ablation's `measured.json`), and the last one of the training itself. */
export async function readEvaluations(run: string, lines: readonly MetricsRecord[]): Promise<EvaluationTable[]> {
  const names = (await readdir(run)).filter((name) => /^(evaluation.*|measured)\.json$/.test(name)).sort()
  const files = await Promise.all(
    names.map(async (name) => {
      try {
        const numbers = flattenNumbers(JSON.parse((await readText(join(run, name))) ?? '{}'))
        const values = Object.fromEntries(numbers.map(([metric, value]) => [renamed.get(metric) ?? metric, value]))
        return { name: name.replace('.json', ''), values }
      } catch {
        return { name, values: {} }
      }
    })
  )
  return [...files, ...evaluationsInTraining(lines).slice(-1)].filter(({ values }) => Object.keys(values).length > 0)
}
