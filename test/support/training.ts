import type { NativeTokenizer } from '../../lib/native/addon.js'
import { Golden } from './golden.js'
import {
  type Changes,
  device,
  loadGolden,
  native,
  tensor,
  tensors,
  tokenizerConfig,
  trainerConfig,
  vit
} from './native.js'
import type { TestingTokenizerTrainer } from './testing-addon.js'

/** The teacher of the training goldens: 24×24 images, a grid of 6×6. */
export async function goldenTeacher(on = device) {
  const teacher = await native().createTeacher({ vit: vit(), patchSize: 4, inputSize: 24 }, on)
  await loadGolden(teacher, new Golden('training_teacher'))
  return teacher
}

export interface GoldenSetting {
  tokenizer?: Parameters<typeof tokenizerConfig>[0]
  training?: Changes<ReturnType<typeof trainerConfig>>
  teacher?: boolean
}

/** A trainer with the weights of a training golden, and its one batch of three images. */
export async function goldenTrainer(golden: Golden, { tokenizer, training, teacher = true }: GoldenSetting = {}) {
  const model: NativeTokenizer = await native().createTokenizer(tokenizerConfig(tokenizer), device, 0)
  const trainer: TestingTokenizerTrainer = await native().createTokenizerTrainer(
    model,
    teacher ? await goldenTeacher() : null,
    trainerConfig(training)
  )
  const weights = tensors(golden.under('w.'))
  const isHead = (name: string) => name.startsWith('alignment.')
  const select = (head: boolean) => Object.entries(weights).filter(([name]) => isHead(name) === head)
  const live = trainer.state()
  const given = {
    ...live,
    model: Object.fromEntries(select(false)),
    ema: Object.fromEntries(select(false)),
    alignment: Object.fromEntries(select(true).map(([name, value]) => [name.replace('alignment.', ''), value]))
  }
  await trainer.load(given)
  return { trainer, images: tensor(golden.get('images')) }
}
