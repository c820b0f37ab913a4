/** Run folders: `run.json`, `checkpoints/`, `metrics.jsonl` and TensorBoard's event files. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { mergeConfig, parseConfig } from '../config.js'
import { MactokError } from '../errors.js'
import { libtorchOrigin } from '../native/load.js'
import { writeJson } from '../weights/atomic.js'
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
  /** Where the pictures came from, and how many are trained on. */
  data: { from: string; heldOutFrom: string | null; pictures: number; heldOut: number }
  versions: Record<string, string>
}

/** Versions that a number may depend on. */
export function versions(): Record<string, string> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return { mactok: version, libtorch: libtorchOrigin().version, node: process.versions.node }
}

/**
 * A run folder's record, or null when the folder holds no run.
 * @throws {MactokError} `ERR_FORMAT` for a broken `run.json`
 */
export async function readRun(folder: string): Promise<RunRecord | null> {
  const path = join(folder, fileName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return completed(JSON.parse(text))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new MactokError('ERR_FORMAT', `${path} is not JSON`, { cause })
  }
}

/** Settings that the run's version did not know yet have their defaults, which change nothing. */
function completed(record: RunRecord): RunRecord {
  const config = parseConfig(trainingSchema, record.config)
  return { ...record, config, settled: mergeConfig(config, record.settled) as SettledConfig }
}

export const writeRun = (folder: string, record: RunRecord): Promise<void> => writeJson(join(folder, fileName), record)

/** Settings that a resumed run may have otherwise: they decide when things happen, not what is computed from a state. */
const free = ['steps', 'epochs', 'checkpoint', 'log', 'evaluation', 'maxSkipped']

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
