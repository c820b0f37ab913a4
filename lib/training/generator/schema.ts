import { z } from 'zod'
import { fraction, mergeConfig, natural, positive } from '../../config.js'
import { generationMetrics } from '../../evaluation/metric-names.js'
import { dinov2Setting } from '../../evaluation/schema.js'
import { generatorPreset, generatorPresets } from '../../generator/presets.js'
import { architectureSchema, checkNetwork, flowSchema } from '../../generator/schema.js'
import { batchCount, gridCount } from '../../tensor/sizes.js'
import { inceptionName } from '../../weights/inception.js'
import { computing, keeping, microBatchIssue, resolveSettings } from '../schema.js'

/** AdamW with a constant rate after its warm-up, method.md §7. */
export const generatorOptimizerSchema = z.strictObject({
  lr: z.number().nonnegative().default(1e-4).describe('learning rate'),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.999]).describe("AdamW's betas"),
  eps: z.number().positive().default(1e-8).describe("AdamW's epsilon"),
  weightDecay: z.number().nonnegative().default(0).describe('weight decay of matrices'),
  clip: z.number().positive().default(1).describe("largest global norm of a step's gradients"),
  warmup: natural.default(0).describe('steps of linear warm-up'),
  final: fraction.default(1).describe('end of a cosine over the whole run as a fraction of the rate; 1: constant')
})

/** The distribution of training times. */
export const timestepsSchema = z.strictObject({
  kind: z.enum(['uniform', 'lognormal']).default('uniform').describe('uniform, or the sigmoid of a normal draw'),
  mean: z.number().default(0).describe('mean of the normal draw'),
  deviation: z.number().positive().default(1).describe('standard deviation of the normal draw'),
  shift: z.number().positive().default(1).describe('shift of the times; below 1: more times near noise')
})

export const sampleGridSchema = z.strictObject({
  every: positive
    .nullable()
    .default(null)
    .describe('steps between grids of decoded samples, where a tokenizer is given; null: none'),
  images: gridCount.default(32).describe('samples in a grid, of the classes in turn'),
  steps: positive.default(25).describe('Heun steps per sample'),
  guidance: z.number().default(1).describe('guidance scale of the grids')
})

/** Evaluations of samples during training, where a tokenizer and a reference are given. */
export const sampleEvaluationSchema = z.strictObject({
  every: positive.default(5_000).describe('steps between evaluations of samples, where a reference is given'),
  metrics: z
    .array(z.enum(generationMetrics))
    .min(1)
    .default(['fid'])
    .describe('metrics of the samples; kid, fdDinov2 and kdDinov2 suit few of them'),
  samples: positive.default(2_000).describe('samples to draw'),
  references: positive.default(5_000).describe('largest number of reference images, spread over the listing'),
  steps: positive.default(25).describe('Heun steps per sample'),
  guidance: z.number().default(1).describe('guidance scale of the samples'),
  inception: z.string().default(inceptionName).describe("FID's Inception: a name or a path"),
  dinov2: dinov2Setting
})

/** Everything that decides a generator run; latents and classes come from the shards. */
export const generatorTrainingSchema = z
  .strictObject({
    preset: z.string().nullable().default(null).describe('name of the preset that these settings started from'),
    generator: architectureSchema.prefault({}),
    flow: flowSchema.prefault({}),
    loss: z
      .strictObject({
        weighting: z
          .enum(['none', 'velocity', 'likelihood'])
          .default('none')
          .describe('weight of the loss over time, for predicted noise and score'),
        direction: z.number().nonnegative().default(0).describe('weight of the cosine loss (LightningDiT: 1)')
      })
      .prefault({}),
    timesteps: timestepsSchema.prefault({}),
    labelDropout: fraction.default(0.1).describe('fraction of the samples that are trained without their class'),
    latents: z
      .strictObject({
        normalise: z
          .enum(['channel', 'scalar', 'none'])
          .default('channel')
          .describe("by the shards' mean and deviation: per channel, one for all channels, or not at all"),
        flip: z
          .boolean()
          .default(true)
          .describe('take half of the latents from mirrored images, where the shards have them')
      })
      .prefault({}),
    steps: positive.default(400_000).describe('optimiser steps'),
    batch: batchCount.default(256).describe('latents in one optimiser step'),
    microBatch: batchCount
      .nullable()
      .default(null)
      .describe('latents in one forward and backward pass, whose gradients are accumulated; null: all'),
    seed: natural.default(0).describe('decides weights, order, flips, noise, times and dropped labels'),
    ...computing,
    optimizer: generatorOptimizerSchema.prefault({}),
    ...keeping,
    grid: sampleGridSchema.prefault({}),
    evaluation: sampleEvaluationSchema.prefault({})
  })
  .superRefine((config, context) => {
    checkNetwork(config.generator, context, ['generator'])
    const message = microBatchIssue(config)
    if (message) context.addIssue({ code: 'custom', path: ['microBatch'], message })
  })

export type GeneratorTrainingConfig = z.output<typeof generatorTrainingSchema>
export type GeneratorTrainingInput = z.input<typeof generatorTrainingSchema>

/** LightningDiT's own recipe: learning rate, betas, batch, log-normal times, and the cosine loss. */
const lightning: GeneratorTrainingInput = {
  steps: 80_000,
  batch: 1024,
  loss: { direction: 1 },
  timesteps: { kind: 'lognormal' },
  optimizer: { lr: 2e-4, betas: [0.9, 0.95] }
}

/** For a laptop's CPU: about ten minutes on two cores for 32 tokens. */
const tiny: GeneratorTrainingInput = {
  steps: 6_000,
  batch: 64,
  optimizer: { lr: 2e-3, warmup: 100, final: 0.1 },
  ema: { decay: 0.999 },
  checkpoint: { every: 1_000 },
  log: { every: 20 },
  grid: { every: 1_000, images: 40, steps: 12, guidance: 2 },
  evaluation: { every: 1_000, samples: 1_000, steps: 12 }
}

/** The settings of a preset. @throws {RangeError} unknown preset, with the nearest name */
function presetSettings(name: string): GeneratorTrainingInput {
  const preset = generatorPreset(name)
  const base = { generator: generatorPresets[preset], ...(preset.startsWith('lightningdit') ? lightning : {}) }
  return preset.endsWith('-tiny') ? (mergeConfig(base, tiny) as GeneratorTrainingInput) : base
}

/**
 * Completes settings, or those of a preset by its name; settings may also name one as `preset`.
 * @throws {RangeError} unknown preset, with the nearest name; and what parseConfig throws
 */
export const resolveGeneratorTraining = (input: string | GeneratorTrainingInput): GeneratorTrainingConfig =>
  resolveSettings(generatorTrainingSchema, input, presetSettings)
