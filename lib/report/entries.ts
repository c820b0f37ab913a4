/** Opens what is compared: runs, and the arms of ablations with a run per seed. */

import { readdir } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError, outOfRange } from '../errors.js'
import { exists, ifPresent } from '../files/stat.js'
import { type MetricsRecord, readMetrics, readMetricsList } from '../runs/metrics.js'
import { type EvaluationTable, readEvaluations } from './evaluations.js'
import { type AnyRunRecord, readAnyRun } from './run-folder.js'

export interface OpenedRun {
  dir: string
  record: AnyRunRecord
  lines: MetricsRecord[]
  evaluations: EvaluationTable[]
}

/** A run, or an arm with a run per seed. */
export interface Entry {
  /** What tells it from the others: the part of its path that is its own. */
  name: string
  /** One or more, by seed. */
  runs: readonly [OpenedRun, ...OpenedRun[]]
}

const listFolders = async (path: string): Promise<string[]> =>
  ((await ifPresent(readdir(path))) ?? [])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => join(path, name))

const isRun = (path: string) => exists(join(path, 'run.json'))

async function listSeeds(arm: string): Promise<string[]> {
  const folders = (await listFolders(arm)).filter((path) => /^seed-\d+$/.test(path.split(sep).at(-1) as string))
  const found = await Promise.all(folders.map(isRun))
  return folders.filter((_, i) => found[i])
}

/** The folders of a run, of an arm's runs, or of all arms' runs of an ablation. */
async function listRuns(path: string): Promise<{ dir: string; runs: string[] }[]> {
  if (await isRun(path)) return [{ dir: path, runs: [path] }]
  const candidates = [path, ...(await listFolders(join(path, 'runs')))]
  const arms = await Promise.all(candidates.map(async (dir) => ({ dir, runs: await listSeeds(dir) })))
  const found = arms.filter(({ runs }) => runs.length > 0)
  if (found.length === 0) {
    const expected = "expected a run, an ablation, or an arm's folder in an ablation's runs/"
    throw new MactokError('ERR_FORMAT', `There is no run in ${path}: ${expected}`)
  }
  return found
}

/** The curve of the generator that an ablation trains on a run's latents, in a group of its own. */
async function readGeneration(dir: string): Promise<MetricsRecord[]> {
  const lines = await readMetricsList(join(dir, 'generation.json'))
  return lines.flatMap(({ step, evaluation }) => (isRecord(evaluation) ? [{ step, generation: evaluation }] : []))
}

async function openRun(dir: string): Promise<OpenedRun | null> {
  const record = (await readAnyRun(dir)) as AnyRunRecord
  const lines = readMetrics(dir)
  if (lines.length === 0) return null
  const evaluations = await readEvaluations(dir, lines)
  return { dir, record, lines: [...lines, ...(await readGeneration(dir))], evaluations }
}

/** The parts of paths between what all begin with and what all end with. */
export function distinctNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => resolve(path).split(sep))
  const shortest = Math.min(...parts.map(({ length }) => length))
  const count = (partAt: (path: string[], i: number) => string | undefined) => {
    let equal = 0
    while (equal < shortest - 1 && parts.every((path) => partAt(path, equal) === partAt(parts[0] as string[], equal)))
      equal += 1
    return equal
  }
  const [first, last] = [count((path, i) => path[i]), count((path, i) => path.at(-1 - i))]
  return parts.map((path) => path.slice(first, Math.max(first + 1, path.length - last)).join('/'))
}

/**
 * Opens runs of one kind.
 * @throws {RangeError} fewer than two, equal ones, or runs of both kinds
 * @throws {MactokError} ERR_FORMAT for a folder that holds no run, or a run that has logged nothing
 */
export async function openEntries(paths: readonly string[]): Promise<{ entries: Entry[]; missing: string[] }> {
  const folders = (await Promise.all(paths.map(listRuns))).flat()
  const dirs = folders.map(({ dir }) => resolve(dir))
  if (folders.length < 2) throw outOfRange('runs', 'two or more runs', dirs)
  const repeated = dirs.find((dir, i) => dirs.indexOf(dir) < i)
  if (repeated !== undefined) throw outOfRange('runs', 'each run once', repeated)

  const names = distinctNames(dirs)
  const missing: string[] = []
  const entries: Entry[] = []
  for (const [i, { dir, runs }] of folders.entries()) {
    const [first, ...others] = (await Promise.all(runs.map(openRun))).filter((run) => run !== null)
    if (first) {
      entries.push({ name: names[i] as string, runs: [first, ...others] })
      const unlogged = runs.length - others.length - 1
      if (unlogged > 0) missing.push(`${unlogged} of the ${runs.length} seeds of ${dir}: no metrics were logged yet`)
    } else if (paths.includes(dir)) {
      throw new MactokError('ERR_FORMAT', `The run in ${dir} has no metrics yet: nothing was logged`)
    } else missing.push(`${dir}: no metrics were logged yet`)
  }
  const kinds = entries.map(({ name, runs: [{ record }] }) => `${name} (${record.kind})`)
  if (new Set(entries.map(({ runs: [{ record }] }) => record.kind)).size > 1) {
    throw outOfRange('runs', 'runs of one kind, tokenizers or generators', kinds.join(', '))
  }
  return { entries, missing }
}
