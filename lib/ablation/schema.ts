import { z } from 'zod'
import { samplingSchema } from '../generator/sampling.js'
import { inceptionName } from '../weights/inception.js'

const positive = z.number().int().positive()

/** What an ablation's YAML file says: everything that its rows have in common. */
export const ablationSchema = z.strictObject({
  preset: z.string().default('tiny-32').describe('tokenizer preset of all rows'),
  settings: z
    .record(z.string(), z.unknown())
    .default({})
    .describe(
      'settings of training laid over the preset, as in a training file; teacher.cache auto is shared by all rows'
    ),
  data: z.string().min(1).describe('images to train on'),
  heldOut: z.string().min(1).describe('other images, to evaluate on'),
  steps: positive.default(1_000).describe('optimiser steps of each row'),
  decoderSteps: positive.nullable().default(null).describe('steps of decoder fine-tuning; null: a fifth of steps'),
  seeds: z.array(z.number().int().nonnegative()).min(1).default([0]).describe('runs of each row'),
  probe: z
    .strictObject({
      features: z.enum(['mean', 'flatten']).default('flatten').describe('latents averaged over the tokens, or all'),
      images: positive.default(5_000).describe('largest number of training, and of held-out images'),
      sample: z
        .boolean()
        .default(false)
        .describe('probe draws from the posteriors, as the decoder sees them, instead of their means'),
      l2: z.number().nonnegative().default(1e-3).describe('weight of the penalty')
    })
    .nullable()
    .prefault({})
    .describe('linear probe of the finished rows, fitted on training and judged on held-out images; null: none'),
  generation: z
    .strictObject({
      preset: z.string().default('sit-tiny').describe('generator preset'),
      settings: z
        .record(z.string(), z.unknown())
        .default({})
        .describe('settings of its training, laid over the preset'),
      steps: positive.default(2_000).describe('optimiser steps'),
      points: positive.default(4).describe('checkpoints that are measured, evenly over the steps'),
      samples: positive.default(2_000).describe('images drawn at each'),
      sampling: samplingSchema.prefault({}).describe('how they are drawn'),
      inception: z.string().default(inceptionName).describe("FID's Inception: a name or a path")
    })
    .nullable()
    .default(null)
    .describe('train a generator on the latents of each finished row, and measure its FID to the training images'),
  rows: z
    .record(z.string(), z.record(z.string(), z.unknown()))
    .default({})
    .describe('settings of single rows by their names')
})

export type AblationConfig = z.output<typeof ablationSchema>
export type AblationConfigInput = z.input<typeof ablationSchema>
