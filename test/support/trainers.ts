import type {
  NativeFlowBatch,
  NativeFlowTrainerConfig,
  NativeGeneratorConfig,
  NativeState,
  NativeTrainerConfig
} from '../../lib/native/addon.js'
import { adversary, full, perceptual } from './adversary.js'
import { flowConfig, generatorConfig } from './generator.js'
import { type Changes, device, native, randomImages, readState, tokenizerConfig, trainerConfig } from './native.js'
import { goldenTeacher } from './training.js'

/** A trainer of any kind, with inputs of its own. */
export interface AnyTrainer {
  step(step: number): Promise<void>
  metrics(): Promise<Record<string, number>>
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
  dispose(): void
}

const weights = { reconstruction: 1, kl: 1e-4, alignment: 0.3, perceptual: 1, adversarial: 0.2 }

/** A tokenizer with every term of the loss; with `decoderOnly` without those that train the encoder. */
export async function fullTokenizerTrainer(
  changes: Changes<NativeTrainerConfig> = {},
  on: string = device
): Promise<AnyTrainer> {
  const tokenizer = await native().createTokenizer(tokenizerConfig(), on, 21)
  const teacher = changes.decoderOnly ? null : await goldenTeacher(on)
  const config = { ...trainerConfig(changes), discriminator: full }
  const networks = { discriminator: await adversary(on), perceptual: await perceptual(on) }
  const trainer = await native().createTokenizerTrainer(tokenizer, teacher, config, networks)
  const alignment = changes.decoderOnly ? 0 : weights.alignment
  return {
    step: async (step) =>
      trainer.step([randomImages(step, 2, 16, on)], { step, lr: 1e-3, weights: { ...weights, alignment } }),
    metrics: () => trainer.metrics(),
    state: () => trainer.state(),
    load: (state) => trainer.load(state),
    dispose: () => trainer.dispose()
  }
}

/** The training of the decoder alone. */
export const decoderTrainer = (changes: Changes<NativeTrainerConfig> = {}, on: string = device): Promise<AnyTrainer> =>
  fullTokenizerTrainer(
    {
      ...changes,
      decoderOnly: true,
      masking: { target: 'none' },
      alignment: { local: false, global: false }
    },
    on
  )

export const flowTrainerConfig = (changes: Partial<NativeFlowTrainerConfig> = {}): NativeFlowTrainerConfig => ({
  seed: 3,
  precision: 'fp32',
  graphs: false,
  flow: flowConfig(),
  labelDropout: 0.5,
  loss: { weighting: 'none', direction: 1 },
  timesteps: { kind: 'lognormal', mean: 0, deviation: 1, shift: 1 },
  optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
  ema: { decay: 0.9, warmup: true },
  ...changes
})

/** A generator in training, on latents that depend on the step alone. */
export async function flowTrainer(
  model: Partial<NativeGeneratorConfig>,
  changes: Partial<NativeFlowTrainerConfig> = {},
  on: string = device
): Promise<AnyTrainer> {
  const config = generatorConfig(model)
  const create = () => native().createGenerator(config, on, 17)
  const trainer = await native().createFlowTrainer(await create(), await create(), flowTrainerConfig(changes))
  const batch = (step: number): NativeFlowBatch => {
    const size = config.latentShape.reduce((product, length) => product * length, 1)
    const values = native().normal(step, 'test/latents', 0, 0, 3, size)
    return {
      latents: native().tensor(values, 'float32', [3, ...config.latentShape], on),
      labels: native().tensor(BigInt64Array.of(1n, 4n, 7n), 'int64', [3], on)
    }
  }
  return {
    step: async (step) => trainer.step([batch(step)], { step, lr: 1e-3 }),
    metrics: () => trainer.metrics(),
    state: () => trainer.state(),
    load: (state) => trainer.load(state),
    dispose: () => trainer.dispose()
  }
}

/** Every kind of trainer: the recipes of both papers. */
export const TRAINERS: [
  string,
  (changes?: { precision?: 'fp32' | 'bf16'; graphs?: boolean }, on?: string) => Promise<AnyTrainer>
][] = [
  ['a tokenizer with every term', fullTokenizerTrainer],
  ['a decoder', decoderTrainer],
  ['SiT', (changes, on) => flowTrainer({ model: 'sit' }, changes, on)],
  ['LightningDiT', (changes, on) => flowTrainer({ model: 'lightning-dit', latentShape: [8, 4, 4] }, changes, on)]
]

/** A trainer's whole state and its metrics. */
export async function readTrainer(trainer: Pick<AnyTrainer, 'state' | 'metrics'>) {
  const groups = Object.entries(trainer.state()).map(async ([name, state]) => [name, await readState(state)] as const)
  return { state: Object.fromEntries(await Promise.all(groups)), metrics: await trainer.metrics() }
}
