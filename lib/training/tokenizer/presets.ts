import { mergeConfig, suggestion } from '../../config.js'
import { outOfRange } from '../../errors.js'
import { type TokenizerPreset, tokenizerPresets } from '../../tokenizer/presets.js'
import { resolveSettings } from '../schema.js'
import { type TrainingConfig, type TrainingConfigInput, trainingSchema } from './schema.js'

/** The paper's recipe; DINOv2-B is also the width of the encoder that it initialises. */
const paper: TrainingConfigInput = {
  encoderInit: 'dinov2-base',
  teacher: { weights: 'dinov2-base' },
  loss: { perceptual: { weights: 'lpips-vgg' } },
  discriminator: { weights: 'auto' }
}

/** For a laptop's CPU: a short run from scratch, with the teacher where its weights are found. */
const tiny: TrainingConfigInput = {
  steps: 5_000,
  batch: 32,
  teacher: { weights: 'dinov2-small', missing: 'skip' },
  align: { hidden: 256 },
  // For those who switch them on by naming their weights.
  loss: { perceptual: { warmup: 200 } },
  // Within some hundred steps the method's consistency of 4 keeps all logits at 0.
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
  'mactok-s-256-128': { ...paper, encoderInit: 'dinov2-small', teacher: { weights: 'dinov2-small' } },
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
    init,
    part: 'decoder',
    encoderInit: null,
    epochs: 10,
    masking: { target: 'none' },
    align: { local: false, global: false },
    loss: { weights: { kl: 0 }, perceptual: { warmup: 0 } },
    discriminator: { start: 0 },
    optimizer: { warmup: null }
  })

/** The settings of a preset. @throws {RangeError} unknown preset, with the nearest name */
function presetSettings(name: string): TrainingConfigInput {
  const names = Object.keys(tokenizerPresets)
  if (!names.includes(name)) throw outOfRange('preset', `one of ${names.join(', ')}${suggestion(name, names)}`, name)
  const preset = name as TokenizerPreset
  return { tokenizer: tokenizerPresets[preset], ...trainingPresets[preset] }
}

/** A teacher that is named, rather than a preset's, is not to be done without. */
function requireNamedTeacher(input: string | TrainingConfigInput): string | TrainingConfigInput {
  if (typeof input === 'string' || !input?.teacher) return input
  const { weights, missing } = input.teacher
  const isNamed = typeof weights === 'string' && missing === undefined
  return isNamed ? { ...input, teacher: { ...input.teacher, missing: 'error' } } : input
}

/**
 * Completes settings, or those of a preset by its name; settings may also name one as `preset`.
 * @throws {RangeError} unknown preset, with the nearest name; and what parseConfig throws
 */
export const resolveConfig = (input: string | TrainingConfigInput): TrainingConfig =>
  resolveSettings(trainingSchema, requireNamedTeacher(input), presetSettings)
