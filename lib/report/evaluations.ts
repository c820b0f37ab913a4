import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../checks.js'
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

/** Reads the evaluations in a run folder (`evaluation*.json`, an ablation's `measured.json`), and the last one of the training itself. */
export async function readEvaluations(run: string, lines: readonly MetricsRecord[]): Promise<EvaluationTable[]> {
  const names = (await readdir(run)).filter((name) => /^(evaluation.*|measured)\.json$/.test(name)).sort()
  const files = await Promise.all(
    names.map(async (name) => {
      try {
        const values = Object.fromEntries(flattenNumbers(JSON.parse((await readText(join(run, name))) ?? '{}')))
        return { name: name.replace('.json', ''), values }
      } catch {
        return { name, values: {} }
      }
    })
  )
  const last = lines.findLast((line) => isRecord(line.evaluation))
  const own = last
    ? [{ name: 'in training', step: last.step, values: Object.fromEntries(flattenNumbers(last.evaluation)) }]
    : []
  return [...files, ...own].filter(({ values }) => Object.keys(values).length > 0)
}
