import type { NativeAdversarialConfig, NativeState, NativeTrainerConfig } from '../../lib/native/addon.js'
import { type Changes, device, native, tokenizerConfig, trainerConfig, vit } from './native.js'
import type { TestingDiscriminator, TestingPerceptual, TestingTokenizerTrainer } from './testing-addon.js'
import { goldenTeacher } from './training.js'

const off = { probability: 0, color: false, translation: 0, cutout: 0 }

/** Adversarial training without augmentation, consistency and LeCAM; and with all of the method's. */
export const plain: NativeAdversarialConfig = {
  loss: 'hinge',
  adaptive: false,
  augment: off,
  strong: off,
  consistency: 0,
  lecam: 0,
  lecamDecay: 0.999
}
const augment = { probability: 0.5, color: true, translation: 0.125, cutout: 0.2 }
export const full: NativeAdversarialConfig = {
  ...plain,
  augment,
  strong: { ...augment, probability: 1, cutout: 0.5 },
  consistency: 4,
  lecam: 1e-3
}

/** Replaces the values whose names `select` accepts by draws of the given deviation. */
async function randomise(
  network: { state(): NativeState; load(state: NativeState): Promise<void> },
  select: (name: string) => boolean,
  deviation: (shape: number[]) => number
) {
  const state = network.state()
  for (const [name, { shape }] of Object.entries(state)) {
    if (!select(name)) continue
    const count = shape.reduce((product, size) => product * size, 1)
    const scale = deviation(shape)
    const values = native()
      .normal(1, `test/${name}`, 0, 0, 1, count)
      .map((value) => value * scale)
    state[name] = native().tensor(values, 'float32', shape, device)
  }
  await network.load(state)
}

/** A discriminator of 16-pixel images on a random backbone of three blocks. */
export async function adversary(on = device): Promise<TestingDiscriminator> {
  const backbone = vit({ width: 16, depth: 3, layerScale: null })
  const config = { vit: backbone, patchSize: 4, inputSize: 16, levels: [0, 2], kernel: 3 }
  const discriminator = await native().createDiscriminator(config, on, 5)
  await randomise(
    discriminator,
    (name) => name.startsWith('backbone.'),
    () => 0.3
  )
  return discriminator
}

/** VGG with random weights: as a term of the loss, as good as the real one. */
export async function perceptual(on = device): Promise<TestingPerceptual> {
  const network = await native().createPerceptual('vgg', on)
  await randomise(
    network,
    () => true,
    (shape) => Math.sqrt(2 / shape.slice(1).reduce((a, b) => a * b, 1))
  )
  return network
}

export interface AdversarialTrainer {
  trainer: TestingTokenizerTrainer
  discriminator: TestingDiscriminator
}

export async function adversarialTrainer(
  adversarial: NativeAdversarialConfig,
  config: Changes<NativeTrainerConfig> = {},
  model: Parameters<typeof tokenizerConfig>[0] = {}
): Promise<AdversarialTrainer> {
  const tokenizer = await native().createTokenizer(tokenizerConfig(model), device, 21)
  const discriminator = await adversary()
  const trainer = await native().createTokenizerTrainer(
    tokenizer,
    await goldenTeacher(),
    { ...trainerConfig(config), discriminator: adversarial },
    { discriminator }
  )
  return { trainer, discriminator }
}
