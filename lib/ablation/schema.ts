import { z } from 'zod'
import { natural, positive } from '../config.js'
import { generationMetrics } from '../evaluation/metric-names.js'
import { dinov2Setting, probeSchema } from '../evaluation/schema.js'
import { withoutSecrets } from '../files/address.js'
import { samplingSchema } from '../generator/sampling.js'
import { defaultPrecision } from '../tensor/settings.js'
import { computing } from '../training/schema.js'
import { inceptionName } from '../weights/inception.js'

/** Settings of an ablation: everything that its rows have in common. */
export const ablationSchema = z.strictObject({
  preset: z.string().default('tiny-32').describe('tokenizer preset of all rows'),
  settings: z
    .record(z.string(), z.unknown())
    .default({})
    .describe(
      'training settings over those of the preset, as in a training file; teacher.cache auto is shared by all rows'
    ),
  data: z.string().min(1).describe('images to train on'),
  heldOut: z.string().min(1).describe('other images, to evaluate on'),
  steps: positive.default(1_000).describe('optimiser steps per row'),
  decoderSteps: positive.nullable().default(null).describe('steps of decoder fine-tuning (default: a fifth of steps)'),
  seeds: z.array(natural).min(1).default([0]).describe('seeds; each row is run with each'),
  probe: z
    .strictObject({
      features: z.enum(['mean', 'flatten']).default('flatten').describe('latents averaged over the tokens, or all'),
      images: positive.default(5_000).describe('largest number of training, and of held-out images'),
      sample: probeSchema.shape.sample,
      l2: probeSchema.shape.l2
    })
    .nullable()
    .prefault({})
    .describe('linear probe of the finished rows, fitted on training and validated on held-out images; null: none'),
  generation: z
    .strictObject({
      preset: z.string().default('sit-tiny').describe('generator preset'),
      settings: z.record(z.string(), z.unknown()).default({}).describe('training settings over those of the preset'),
      steps: positive.default(2_000).describe('optimiser steps'),
      points: positive.default(4).describe('checkpoints to measure, evenly over the steps'),
      samples: positive.default(2_000).describe('images to draw from each'),
      sampling: samplingSchema.prefault({}).describe('how images are drawn'),
      metrics: z
        .array(z.enum(generationMetrics))
        .min(1)
        .default(['fid'])
        .describe('metrics of the samples, against the training images'),
      inception: z.string().default(inceptionName).describe("FID's Inception: a name or a path"),
      dinov2: dinov2Setting,
      precision: computing.precision
        .unwrap()
        .default(defaultPrecision)
        .describe('of the networks that measure: fp32, tf32 or bf16; auto: bf16 where the hardware supports it')
    })
    .nullable()
    .default(null)
    .describe(
      'train a generator on the latents of each finished row and measure its samples against the training images; null: none'
    ),
  sweep: z
    .strictObject({
      setting: z.string().min(1).describe('training setting of which every row is run with each value'),
      values: z.array(z.number()).min(1).describe('its values')
    })
    .nullable()
    .default(null)
    .describe('run every row with several values of a setting and plot each number over them; null: none'),
  rows: z
    .record(z.string(), z.record(z.string(), z.unknown()))
    .default({})
    .describe('training settings of single rows, by name')
})

export type AblationConfig = z.output<typeof ablationSchema>

/** The settings as the ablation's files show them. */
export const withoutSecretsOf = <T extends Pick<AblationConfig, 'data' | 'heldOut'>>(config: T): T => ({
  ...config,
  data: withoutSecrets(config.data),
  heldOut: withoutSecrets(config.heldOut)
})

export type AblationConfigInput = z.input<typeof ablationSchema>
