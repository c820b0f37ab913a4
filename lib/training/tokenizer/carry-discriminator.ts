import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { NativeState, NativeTokenizerTrainer } from '../../native/addon.js'
import { native } from '../../native/errors.js'
import { findTokenizer } from '../../tokenizer/folder.js'
import { fileWeights, readSafetensors } from '../../weights/index.js'
import { disposeState, toState } from '../../weights/state.js'

const groups = ['discriminator', 'discriminator_optimizer']

/** Gives a trainer the discriminator of another run, with its optimiser and averages, where both have one. */
export async function carryDiscriminator(trainer: NativeTokenizerTrainer, folder: string): Promise<void> {
  const place = dirname((await findTokenizer(folder)).weights)
  const state = trainer.state()
  const loaded: Record<string, NativeState> = { ...state }
  try {
    for (const group of groups) {
      const path = join(place, `${group}.safetensors`)
      if (!state[group] || !(await isThere(path))) return
      await using file = await readSafetensors(path)
      loaded[group] = await toState(fileWeights(file))
    }
    await native(trainer.load(loaded))
  } finally {
    for (const tensors of [...Object.values(state), ...Object.values(loaded)]) disposeState(tensors)
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )
