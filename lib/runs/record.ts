/** `run.json`: what a run folder says about its run. */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { z } from 'zod'
import { isRecord } from '../checks.js'
import { mergeConfig, parseConfig } from '../config.js'
import { MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { seal, unseal } from '../files/checksums.js'
import { parseJson, readText } from '../files/read.js'
import { libtorchOrigin } from '../native/load.js'
import { type Checkpoint, findCheckpoints, verifyCheckpoint } from './checkpoint.js'
import { readMetrics } from './metrics.js'

const fileName = 'run.json'

/** What `run.json` holds. */
export interface RunRecord<Kind extends string = string, Config = unknown, Settled = unknown, Data = unknown> {
  formatVersion: 1
  kind: Kind
  /** What was requested, complete with defaults. */
  config: Config
  /** The same, with everything settled that depends on machine and data. */
  settled: Settled
  /** Where the data came from, and how much of it there is. */
  data: Data
  versions: Record<string, string>
}

/** Versions that a number may depend on: of MacTok, LibTorch and Node. */
export function readVersions(): Record<string, string> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return { mactok: version, libtorch: libtorchOrigin().version, node: process.versions.node }
}

/** What a record holds, unchecked; undefined when there is none. */
async function readContent(path: string): Promise<unknown> {
  const text = await readText(path).catch((error): never => {
    throw new MactokError('ERR_FORMAT', `${path} cannot be read: ${error.message}`, { cause: error })
  })
  return text === null ? undefined : parseJson(text, path)
}

/** What the run of a folder trains, as its record says; null when the folder holds no run or the record does not say. */
export async function readKind(folder: string): Promise<string | null> {
  const content = await readContent(join(folder, fileName))
  return isRecord(content) && typeof content.kind === 'string' ? content.kind : null
}

/**
 * Reads the record of a run folder; null when the folder holds no run.
 * @param kind - what the run trains
 * @param schema - of its configuration: settings that the run's version did not know yet get their defaults, which change nothing
 * @throws {RangeError} a run that trains something else
 * @throws {MactokError} `ERR_FORMAT` for a broken `run.json`, and one that is not what was written
 */
export async function readRecord<R extends RunRecord>(
  folder: string,
  kind: R['kind'],
  schema: z.core.$ZodType
): Promise<R | null> {
  const path = join(folder, fileName)
  const content = await readContent(path)
  if (content === undefined) return null
  if (!isRecord(content) || typeof content.kind !== 'string') {
    throw new MactokError('ERR_FORMAT', `${path} is no record of a run`)
  }
  const record = unseal(path, content).content as unknown as R
  if (record.kind !== kind) throw outOfRange('dir', `a ${kind}'s run`, `a ${record.kind}'s run`)
  try {
    const config = parseConfig(schema, record.config)
    return { ...record, config, settled: mergeConfig(config, record.settled) }
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${path}: ${(cause as Error).message}`, { cause })
  }
}

export const writeRecord = (folder: string, record: RunRecord): Promise<void> =>
  writeJson(join(folder, fileName), seal(fileName, record, {}))

/** Whether a run has logged steps past its first checkpoint, which must have been there. */
function hasLostCheckpoints(dir: string, record: RunRecord | null): boolean {
  const every = (record?.settled as { checkpoint?: { every?: number } } | undefined)?.checkpoint?.every
  const logged = readMetrics(dir).at(-1)?.step ?? 0
  return every !== undefined && logged > every
}

/**
 * Decides where a run starts: at the folder's newest checkpoint, or, with both null, from scratch. Refuses to mix two runs, and to
 * start again where the checkpoints of a run are damaged.
 * @param record - the folder's
 * @param onNotice - told of damaged checkpoints that are skipped
 * @throws {RangeError} a folder with a run that is not to be resumed, or a run with other settings
 * @throws {MactokError} ERR_FORMAT for a run of which no complete checkpoint or no record is left
 */
export async function openRun<R extends RunRecord>(
  dir: string,
  record: R | null,
  config: R['config'],
  { resume, onNotice }: { resume: boolean; onNotice?: (message: string) => void }
): Promise<{ record: R; checkpoint: Checkpoint } | { record: null; checkpoint: null }> {
  const { newest: checkpoint, damaged } = await findCheckpoints(dir, resume ? verifyCheckpoint : undefined)
  if (!checkpoint && (damaged.length > 0 || hasLostCheckpoints(dir, record))) {
    const reason = damaged.length > 0 ? damaged.join('; ') : 'they were deleted'
    throw new MactokError(
      'ERR_FORMAT',
      `The run in ${dir} has no complete checkpoint left (${reason}): restore one, or train in another folder`
    )
  }
  if (!resume) {
    if (checkpoint)
      throw outOfRange('dir', `a folder without a run (or resume: it has one at step ${checkpoint.state.step})`, dir)
    return { record: null, checkpoint: null }
  }
  // A run that never reached a checkpoint starts from scratch.
  if (!checkpoint) return { record: null, checkpoint: null }
  if (!record) {
    throw new MactokError(
      'ERR_FORMAT',
      `${join(dir, fileName)} is missing, beside the checkpoints of a run: restore it`
    )
  }
  const conflict = findConflict(record.config, config)
  if (conflict) throw outOfRange('settings', `those of the run in ${dir}`, conflict)
  for (const reason of damaged) onNotice?.(`${reason}; resuming from ${checkpoint.folder}`)
  return { record, checkpoint }
}

/** Settings that may change when a run resumes: they decide when things happen, not what is computed from a state. */
export const freeSettings = [
  'steps',
  'epochs',
  'checkpoint',
  'log',
  'evaluation',
  'maxSkipped',
  'grid',
  'graphs'
] as const

/** Describes the first setting, free ones aside, in which two configurations differ: `name is a there but b here`. */
export function findConflict(there: unknown, here: unknown, path: string[] = []): string | null {
  if (typeof there === 'object' && typeof here === 'object' && there && here) {
    for (const key of new Set([...Object.keys(there), ...Object.keys(here)])) {
      if (path.length === 0 && (freeSettings as readonly string[]).includes(key)) continue
      const [one, other] = [there, here].map((value) => (value as Record<string, unknown>)[key])
      const conflict = findConflict(one, other, [...path, key])
      if (conflict) return conflict
    }
    return null
  }
  return Object.is(there, here)
    ? null
    : `${path.join('.')} is ${JSON.stringify(there)} there but ${JSON.stringify(here)} here`
}
