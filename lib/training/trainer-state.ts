import { join } from 'node:path'
import { MactokError } from '../errors.js'
import type { Checksums } from '../files/checksums.js'
import type { NativeState } from '../native/addon.js'
import { native } from '../native/errors.js'
import type { Checkpoint } from '../runs/checkpoint.js'
import { fileWeights, readSafetensors } from '../weights/index.js'
import { disposeState, saveState, toState } from '../weights/state.js'

const extension = '.safetensors'

/** The state of a trainer: groups of live tensors, which can be replaced. */
export interface TrainerState {
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
}

/**
 * Writes every group of a trainer's state (`model`, `ema`, `optimizer`, …) that is not empty to a file of its own.
 * @returns the files' checksums
 */
export async function saveTrainer(trainer: TrainerState, folder: string): Promise<Checksums> {
  const checksums: Checksums = {}
  for (const [group, state] of Object.entries(trainer.state())) {
    if (Object.keys(state).length === 0) continue
    const name = group + extension
    checksums[name] = await saveState(join(folder, name), state, { format: 'pt' }).finally(() => disposeState(state))
  }
  return checksums
}

/** The groups that a model is loaded from. */
const weightGroups = ['model', 'ema']

/**
 * Checks a trainer's weights and their average.
 * @param folder - the checkpoint that holds them
 * @throws {MactokError} `ERR_DIVERGED` naming the first tensor with a value that is not finite
 */
export async function requireFiniteWeights(trainer: TrainerState, folder: string): Promise<void> {
  const groups = trainer.state()
  try {
    for (const group of weightGroups) {
      for (const [name, tensor] of Object.entries(groups[group] ?? {})) {
        if (await native(tensor.isFinite())) continue
        const file = join(folder, group + extension)
        throw new MactokError(
          'ERR_DIVERGED',
          `${name} in ${file} has values that are not finite; resume from an earlier checkpoint: delete ${folder}`
        )
      }
    }
  } finally {
    for (const state of Object.values(groups)) disposeState(state)
  }
}

/**
 * Loads every group that a checkpoint holds; the others become empty.
 * @throws {MactokError} `ERR_FORMAT` for values that are not finite
 */
export async function loadTrainer(trainer: TrainerState, { folder, state }: Checkpoint): Promise<void> {
  const groups: Record<string, NativeState> = {}
  for (const [group, tensors] of Object.entries(trainer.state())) {
    disposeState(tensors)
    groups[group] = {}
  }
  try {
    for (const name of Object.keys(state.files).filter((file) => file.endsWith(extension))) {
      await using file = await readSafetensors(join(folder, name))
      groups[name.slice(0, -extension.length)] = await toState(fileWeights(file))
    }
    await native(trainer.load(groups))
  } finally {
    for (const group of Object.values(groups)) disposeState(group)
  }
}
