import { basename, dirname, join } from 'node:path'
import { exists } from '../../files/stat.js'
import type { NativeState, NativeTokenizerTrainer } from '../../native/addon.js'
import { checkModelFiles, retryIfDeleted } from '../../runs/model-folder.js'
import { findTokenizer } from '../../tokenizer/folder.js'
import { readSafetensors } from '../../weights/reader.js'
import { disposeState, type Loadable, loadInto } from '../../weights/state.js'
import { fileWeights } from '../../weights/tensors.js'

const groups = ['discriminator', 'discriminator_optimizer']

/** Loads the discriminator of another run, with its optimiser and averages, into a trainer where both have one. */
export const carryDiscriminator = (trainer: NativeTokenizerTrainer, folder: string): Promise<void> =>
  retryIfDeleted(folder, () => loadDiscriminator(trainer, folder))

async function loadDiscriminator(trainer: NativeTokenizerTrainer, folder: string): Promise<void> {
  const place = dirname((await findTokenizer(folder, false, { verify: true })).weights)
  const files = groups.map((group) => join(place, `${group}.safetensors`))
  const state = trainer.state()
  for (const tensors of Object.values(state)) disposeState(tensors)
  const complete = await Promise.all(files.map(exists))
  if (complete.includes(false) || groups.some((group) => !state[group])) return
  await checkModelFiles(
    place,
    files.map((file) => basename(file))
  )
  for (const [i, group] of groups.entries()) {
    await using file = await readSafetensors(files[i] as string)
    await loadInto(groupOf(trainer, group), fileWeights(file))
  }
}

/** One group of a trainer's state, loadable without changing the others. */
function groupOf(trainer: NativeTokenizerTrainer, group: string): Loadable {
  return {
    state: () => trainer.state()[group] ?? {},
    load: async (tensors: NativeState) => {
      const others = trainer.state()
      try {
        await trainer.load({ ...others, [group]: tensors })
      } finally {
        for (const state of Object.values(others)) disposeState(state)
      }
    }
  }
}
