import { z } from 'zod'
import { fraction, positive } from '../config.js'
import { samplingSchema } from '../generator/sampling.js'
import { precisionSetting, seedSetting } from '../tensor/settings.js'

/** Settings of `compareRuns`. */
export const compareSchema = z.strictObject({
  count: positive.default(8).describe('images or samples to show of each run'),
  ratio: fraction.default(0.5).describe('part of the patches that the shown masks hide, from 0 to 1'),
  latents: positive.default(256).describe('images to encode for the latent plots'),
  seed: seedSetting.describe("seed of the masks, and of samples' noise"),
  steps: samplingSchema.shape.steps,
  guidance: z.number().default(1).describe('guidance scale of the samples'),
  precision: precisionSetting
})

export type CompareConfig = z.output<typeof compareSchema>
