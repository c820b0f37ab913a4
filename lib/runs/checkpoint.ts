/** Checkpoint folders `checkpoints/step-0010000/`, each complete or absent. */

import { readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { syncFolder, writeJson } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'

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
}

async function readSizes(folder: string): Promise<Record<string, number>> {
  const names = (await readdir(folder)).filter((name) => name !== stateFile).sort()
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
  return Object.fromEntries(names.map((name, i) => [name, sizes[i] as number]))
}

/**
 * Reads a checkpoint's state and checks that its files are complete.
 * @throws {MactokError} `ERR_FORMAT` naming the missing or truncated file
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  let state: CheckpointState
  try {
    state = JSON.parse(await readFile(join(folder, stateFile), 'utf8'))
    if (!isRecord(state) || !Number.isInteger(state.step) || !isRecord(state.files))
      throw new TypeError('it is no state')
  } catch (cause) {
    const reason = `${stateFile} is missing or broken (${(cause as Error).message})`
    throw new MactokError('ERR_FORMAT', `${folder} is not a complete checkpoint: ${reason}`, { cause })
  }
  const sizes = await readSizes(folder).catch((cause): never => {
    throw new MactokError('ERR_FORMAT', `${folder} cannot be read: ${cause.message}`, { cause })
  })
  for (const [name, size] of Object.entries(state.files)) {
    if (sizes[name] !== size) {
      const fault = sizes[name] === undefined ? 'is missing' : `has ${sizes[name]} bytes instead of ${size}`
      throw new MactokError('ERR_FORMAT', `${folder} is not a complete checkpoint: ${name} ${fault}`)
    }
  }
  return { folder, state }
}

/** The folder of a run's checkpoint at a step. */
export const checkpointFolder = (run: string, step: number): string => join(folderOf(run), checkpointName(step))

/** The steps of a run's checkpoint folders, newest first, complete or not. */
async function listSteps(run: string): Promise<number[]> {
  const names = await readdir(folderOf(run)).catch(() => [])
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

/** Finds the newest complete checkpoint of a run folder, and what is wrong with newer ones. */
export async function findCheckpoints(run: string): Promise<FoundCheckpoints> {
  const damaged: string[] = []
  for (const step of await listSteps(run)) {
    try {
      return { newest: await readCheckpoint(checkpointFolder(run, step)), damaged }
    } catch (error) {
      if (!(error instanceof MactokError)) throw error
      damaged.push(error.message)
    }
  }
  return { newest: null, damaged }
}

/** Finds the complete checkpoint with the highest step of a run folder; null when it has none. */
export const newestCheckpoint = async (run: string): Promise<Checkpoint | null> => (await findCheckpoints(run)).newest

/**
 * Writes a checkpoint under a temporary name, syncs it to disk and renames it; then deletes older ones, but keeps the `keep` newest
 * and every one whose step is a multiple of `keepEvery`.
 * @param write - fills the folder
 * @returns its folder
 */
export async function writeCheckpoint(
  run: string,
  state: Omit<CheckpointState, 'formatVersion' | 'files'>,
  write: (folder: string) => Promise<void>,
  { keep, keepEvery }: { keep: number; keepEvery: number | null }
): Promise<string> {
  const parent = folderOf(run)
  const folder = join(parent, checkpointName(state.step))
  const unfinished = join(parent, `.${basename(folder)}.tmp`)
  await rm(unfinished, { recursive: true, force: true })
  await makeFolder(unfinished)
  await write(unfinished)
  await writeJson(join(unfinished, stateFile), { formatVersion: 1, ...state, files: await readSizes(unfinished) })
  await syncFolder(unfinished)
  await discard(folder)
  await rename(unfinished, folder)
  await syncFolder(parent)

  const old = (await listSteps(run)).slice(keep).filter((step) => keepEvery === null || step % keepEvery !== 0)
  await Promise.all(old.map((step) => discard(join(parent, checkpointName(step)))))
  return folder
}

/** Renames a folder before it is deleted, so that the remains of a crash are never taken for a checkpoint. */
async function discard(folder: string): Promise<void> {
  const away = join(folder, '..', `.${basename(folder)}.old`)
  await rm(away, { recursive: true, force: true })
  await rename(folder, away).catch((error) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rm(away, { recursive: true, force: true })
}
