/** Run folders: `run.json`, `checkpoints/`, `metrics.jsonl` and TensorBoard's event files. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { mergeConfig, parseConfig } from '../../config.js'
import { MactokError, outOfRange } from '../../errors.js'
import { writeJson } from '../../files/atomic.js'
import { libtorchOrigin } from '../../native/load.js'
import { type Checkpoint, newestCheckpoint } from '../../runs/checkpoint.js'
import { type TrainingConfig, trainingSchema } from './schema.js'
import type { SettledConfig } from './settle.js'

const fileName = 'run.json'

/** What `run.json` holds. */
export interface RunRecord {
  formatVersion: 1
  kind: 'tokenizer'
  /** What was asked for, complete with defaults. */
  config: TrainingConfig
  /** The same with everything settled that depends on machine and data: rate, warm-up, precision, what the teacher serves. */
  settled: SettledConfig
  /** Where the images came from, and how many are trained on. */
  data: { from: string; heldOutFrom: string | null; images: number; heldOut: number }
  versions: Record<string, string>
}

/** Versions that a number may depend on. */
export function versions(): Record<string, string> {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }
  return { mactok: version, libtorch: libtorchOrigin().version, node: process.versions.node }
}

/**
 * The record of a run folder, or null when the folder holds no run.
 * @param kind - what the run trains
 * @throws {RangeError} a run that trains something else
 * @throws {MactokError} `ERR_FORMAT` for a broken `run.json`
 */
export async function readRecord<Kind extends string>(folder: string, kind: Kind): Promise<{ kind: Kind } | null> {
  const path = join(folder, fileName)
  let record: { kind: Kind }
  try {
    record = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    if (!(cause instanceof SyntaxError)) throw cause
    throw new MactokError('ERR_FORMAT', `${path} is not JSON`, { cause })
  }
  if (record.kind !== kind) throw outOfRange('dir', `a ${kind}'s run`, `one of a ${record.kind}`)
  return record
}

/** A tokenizer run's record, or null when the folder holds no run; throws what readRecord throws. */
export async function readRun(folder: string): Promise<RunRecord | null> {
  const record = await readRecord(folder, 'tokenizer')
  return record && completed(record as RunRecord)
}

/**
 * What a run folder holds already; refuses to mix two runs.
 * @param record - the folder's
 * @throws {RangeError} a run that is not to be resumed, or one of other settings
 */
export async function openRun<Config, R extends { config: Config }>(
  dir: string,
  record: R | null,
  config: Config,
  resume: boolean
): Promise<{ record: R | null; checkpoint: Checkpoint | null }> {
  const checkpoint = await newestCheckpoint(dir)
  if (!resume) {
    if (checkpoint)
      throw outOfRange('dir', `a folder without a run (or resume: it has one at step ${checkpoint.state.step})`, dir)
    return { record: null, checkpoint: null }
  }
  // A run that never reached a checkpoint starts anew.
  if (!record || !checkpoint) return { record: null, checkpoint: null }
  const difference = conflict(record.config, config)
  if (difference) throw outOfRange('settings', `those of the run in ${dir}`, difference)
  return { record, checkpoint }
}

/** Settings that the run's version did not know yet have their defaults, which change nothing. */
function completed(record: RunRecord): RunRecord {
  const config = parseConfig(trainingSchema, record.config)
  return { ...record, config, settled: mergeConfig(config, record.settled) as SettledConfig }
}

export const writeRun = (folder: string, record: { kind: string }): Promise<void> =>
  writeJson(join(folder, fileName), record)

/** Settings that a resumed run may have otherwise: they decide when things happen, not what is computed from a state. */
const free = ['steps', 'epochs', 'checkpoint', 'log', 'evaluation', 'maxSkipped', 'grid', 'graphs']

/** The first setting in which two configurations differ, as `name is a there but b here`. */
export function conflict(there: unknown, here: unknown, path: string[] = []): string | null {
  if (typeof there === 'object' && typeof here === 'object' && there && here) {
    for (const key of new Set([...Object.keys(there), ...Object.keys(here)])) {
      if (path.length === 0 && free.includes(key)) continue
      const values = [there, here].map((value) => (value as Record<string, unknown>)[key])
      const found = conflict(values[0], values[1], [...path, key])
      if (found) return found
    }
    return null
  }
  return Object.is(there, here)
    ? null
    : `${path.join('.')} is ${JSON.stringify(there)} there but ${JSON.stringify(here)} here`
}
