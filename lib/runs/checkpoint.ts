/** Checkpoint folders `checkpoints/step-0010000/`, each complete or absent. */

import { readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { syncFolder, writeJson } from '../files/atomic.js'
import { type Checksums, seal, unseal } from '../files/checksums.js'
import { makeFolder } from '../files/make-folder.js'
import { parseJson, readText } from '../files/read.js'
import { discardFolder, removeDiscarded, removeFolder } from '../files/remove-folder.js'
import { ifPresent } from '../files/stat.js'
import { checkFile, checksum } from '../native/checksums.js'

const stateFile = 'state.json'
const folderOf = (run: string) => join(run, 'checkpoints')

/** `step-0010000` */
export const checkpointName = (step: number): string => `step-${String(step).padStart(7, '0')}`

/** What `state.json` holds: with the seed in the configuration it decides everything that the weights do not decide. */
export interface CheckpointState {
  formatVersion: 1
  /** Optimiser steps done. */
  step: number
  /** Samples seen: the position in the data. */
  samples: number
  config: unknown
  versions: Record<string, string>
  /** Sizes in bytes of the other files, so that a half-copied folder is noticed. */
  files: Record<string, number>
}

export interface Checkpoint {
  folder: string
  state: CheckpointState
  /** Those of the other files; none in checkpoints of older versions. */
  checksums: Checksums
}

async function readSizes(folder: string): Promise<Record<string, number>> {
  const names = (await readdir(folder)).filter((name) => name !== stateFile).sort()
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return Object.fromEntries(names.map((name, i) => [name, sizes[i] as number]))
}

/**
 * Reads a checkpoint's state and checks that its files are complete; `verifyCheckpoint` reads them, too.
 * @throws {MactokError} `ERR_FORMAT` naming the missing, truncated or changed file
 * @throws {Error} the system's error when storage fails, which says nothing about the checkpoint
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const text = await readText(join(folder, stateFile))
  let read: unknown
  try {
    if (text === null) throw new TypeError('there is none')
    read = parseJson(text, stateFile)
    if (!isRecord(read) || !Number.isInteger(read.step) || !isRecord(read.files)) throw new TypeError('it is no state')
    if (!Object.values(read.files).every(Number.isSafeInteger)) throw new TypeError('its sizes are no integers')
  } catch (cause) {
    const reason = `${stateFile} is missing or broken (${(cause as Error).message})`
    throw new MactokError('ERR_FORMAT', `${folder} is not a complete checkpoint: ${reason}`, { cause })
  }
  const { content, checksums } = unseal(join(folder, stateFile), read)
  const state = content as unknown as CheckpointState
  const sizes = (await ifPresent(readSizes(folder))) ?? {}
  for (const [name, size] of Object.entries(state.files)) {
    if (sizes[name] !== size) {
      const fault = sizes[name] === undefined ? 'is missing' : `has ${sizes[name]} bytes instead of ${size}`
      throw new MactokError('ERR_FORMAT', `${folder} is not a complete checkpoint: ${name} ${fault}`)
    }
  }
  return { folder, state, checksums }
}

/**
 * Compares a checkpoint's files with their checksums, if it has any.
 * @throws {MactokError} `ERR_FORMAT` naming the file that differs
 */
export async function verifyCheckpoint({ folder, state, checksums }: Checkpoint): Promise<void> {
  const recorded = join(folder, stateFile)
  for (const name of Object.keys(state.files)) await checkFile(join(folder, name), checksums[name], recorded)
}

/** The folder of a run's checkpoint at a step. */
export const checkpointFolder = (run: string, step: number): string => join(folderOf(run), checkpointName(step))

/** The steps of a run's checkpoint folders, newest first, complete or not. */
async function listSteps(run: string): Promise<number[]> {
  const names = (await ifPresent(readdir(folderOf(run)))) ?? []
  return names
    .flatMap((name) => {
      const digits = /^step-(\d+)$/.exec(name)?.[1]
      return digits === undefined ? [] : [Number(digits)]
    })
    .sort((a, b) => b - a)
}

/** What a run folder holds of checkpoints. */
export interface FoundCheckpoints {
  /** The complete checkpoint with the highest step. */
  newest: Checkpoint | null
  /** Why those after it were skipped, each with its folder. */
  damaged: string[]
}

/**
 * Finds the newest complete checkpoint of a run folder, and what is wrong with newer ones.
 * @param verify - checks more than sizes; what it refuses is damaged
 */
export async function findCheckpoints(
  run: string,
  verify: (checkpoint: Checkpoint) => Promise<void> = async () => {}
): Promise<FoundCheckpoints> {
  const damaged: string[] = []
  for (const step of await listSteps(run)) {
    try {
      const newest = await readCheckpoint(checkpointFolder(run, step))
      await verify(newest)
      return { newest, damaged }
    } catch (error) {
      if (!(error instanceof MactokError)) throw error
      damaged.push(error.message)
    }
  }
  return { newest: null, damaged }
}

/** Finds the complete checkpoint with the highest step of a run folder; null when it has none. */
export const newestCheckpoint = async (run: string): Promise<Checkpoint | null> => (await findCheckpoints(run)).newest

/** Which checkpoints stay: the `keep` newest, and every one whose step is a multiple of `keepEvery`. */
export interface Retention {
  keep: number
  keepEvery: number | null
}

/**
 * Writes a checkpoint under a temporary name, syncs it to disk and renames it; then deletes older ones.
 * @param write - fills the folder; returns the checksums of its files that it knows
 * @returns its folder
 */
export async function writeCheckpoint(
  run: string,
  state: Omit<CheckpointState, 'formatVersion' | 'files'>,
  write: (folder: string) => Promise<Checksums>,
  retention: Retention
): Promise<string> {
  const parent = folderOf(run)
  const folder = join(parent, checkpointName(state.step))
  const unfinished = join(parent, `.${basename(folder)}.tmp`)
  await rm(unfinished, { recursive: true, force: true })
  await makeFolder(unfinished)
  const checksums = await write(unfinished)
  const files = await readSizes(unfinished)
  for (const name of Object.keys(files)) checksums[name] ??= await checksum(join(unfinished, name))
  const content = seal(stateFile, { formatVersion: 1, ...state, files }, checksums)
  await writeJson(join(unfinished, stateFile), content)
  await syncFolder(unfinished)
  await discardFolder(folder)
  await rename(unfinished, folder)
  await syncFolder(parent)

  await removeOlder(run, state.step, retention)
  return folder
}

/**
 * Deletes the checkpoints up to a step that are not to stay; later ones are damaged, and no reason to delete any. Only who has locked the
 * run may call it.
 */
export async function removeOlder(run: string, step: number, { keep, keepEvery }: Retention): Promise<void> {
  const steps = (await listSteps(run)).filter((one) => one <= step)
  const old = steps.slice(keep).filter((one) => keepEvery === null || one % keepEvery !== 0)
  await Promise.all(old.map((one) => discardFolder(checkpointFolder(run, one))))
  await removeRemains(run)
}

/** Deletes what a crash left of checkpoints that were being written or deleted. Only who has locked the run may call it. */
export async function removeRemains(run: string): Promise<void> {
  const folder = folderOf(run)
  const unfinished = ((await ifPresent(readdir(folder))) ?? []).filter((name) => /^\.step-\d+\.tmp$/.test(name))
  await Promise.all(unfinished.map((name) => removeFolder(join(folder, name))))
  await removeDiscarded(folder, (name) => /^step-\d+$/.test(name))
}
