import { mergeConfig, parseConfig, suggestion } from '../../config.js'
import { type TokenizerPreset, tokenizerPresets } from '../../tokenizer/presets.js'
import { type TrainingConfig, type TrainingConfigInput, trainingSchema } from './schema.js'

/** The paper's recipe; DINOv2-B is also the width of the encoder that it initialises. */
const paper: TrainingConfigInput = {
  encoderInit: 'dinov2-base',
  teacher: { weights: 'dinov2-base' },
  loss: { perceptual: { weights: 'lpips-vgg' } },
  discriminator: { weights: 'auto' }
}

/** For a laptop's CPU: a short run of a model from scratch, with the teacher where it is found. */
const tiny: TrainingConfigInput = {
  steps: 5_000,
  batch: 32,
  teacher: { weights: 'dinov2-small', missing: 'skip' },
  align: { hidden: 256 },
  // For whoever switches them on by naming their weights.
  loss: { perceptual: { warmup: 200 } },
  // In some hundred steps the method's consistency of 4 holds all logits at 0.
  discriminator: { inputSize: 56, start: 500, consistency: 0.2 },
  optimizer: { lr: 2e-3, warmup: 100 },
  ema: { decay: 0.999 },
  checkpoint: { every: 1_000 },
  log: { every: 20 },
  evaluation: { every: 500, images: 512 },
  grid: { every: 500 }
}

/** Training settings by the name of a tokenizer preset. */
export const trainingPresets: Record<TokenizerPreset, TrainingConfigInput> = {
  'mactok-b-256-64': paper,
  'mactok-b-256-128': paper,
  'mactok-bl-512-64': { ...paper, steps: 500_000 },
  'mactok-b-512-128': { ...paper, steps: 500_000 },
  // Images of this size are taken whole.
  'tiny-32': { ...tiny, data: { minScale: 1 } },
  'tiny-64': tiny
}

/** Settings, or groups of them, that the encoder's training decided. */
export const fixedOfDecoder = ['preset', 'part', 'init', 'encoderInit', 'masking', 'align', 'teacher', 'tokenizer']

/**
 * Settings for the fine-tuning of a trained tokenizer's decoder (method.md §6), laid over those that it was trained with: ten epochs
 * of reconstruction, perceptual and adversarial loss from the first step on.
 */
export const decoderTraining = (trained: TrainingConfigInput, init: string): TrainingConfigInput =>
  mergeConfig(trained, {
    ...{ init, part: 'decoder', encoderInit: null, epochs: 10 },
    masking: { target: 'none' },
    align: { local: false, global: false },
    loss: { weights: { kl: 0 }, perceptual: { warmup: 0 } },
    discriminator: { start: 0 },
    optimizer: { warmup: null }
  })

/**
 * A complete configuration from a preset's name, or from settings that may name one as `preset`.
 * @throws {RangeError} unknown preset, with the nearest name; and what parseConfig throws
 */
export function resolveConfig(input: string | TrainingConfigInput): TrainingConfig {
  const settings = typeof input === 'string' ? { preset: input } : input
  const name = settings?.preset
  if (name === undefined || name === null) return parseConfig(trainingSchema, settings)
  const names = Object.keys(tokenizerPresets)
  if (!names.includes(name)) {
    throw new RangeError(
      `Expected preset to be one of ${names.join(', ')} but received ${JSON.stringify(name)}${suggestion(name, names)}`
    )
  }
  const preset = name as TokenizerPreset
  const base = { tokenizer: tokenizerPresets[preset], ...trainingPresets[preset] }
  return parseConfig(trainingSchema, mergeConfig(base, settings))
}
