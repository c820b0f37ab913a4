import { z } from 'zod'
import { natural, positive } from '../config.js'
import { samplingSchema } from '../generator/sampling.js'
import { batchSetting, precisions, seedSetting } from '../tensor/settings.js'
import { gridCount } from '../tensor/sizes.js'

/** Settings of `sampleImages`: which samples, how they are drawn, and how they are laid out. */
export const sampleSchema = z
  .strictObject({
    count: positive.optional().describe('samples to draw (default: one per class given, else one)'),
    seed: seedSetting.describe('seed of noise and classes'),
    firstIndex: natural.default(0).describe('number of the first sample, to continue an earlier call'),
    columns: gridCount.optional().describe('columns of the grid (default: the number of classes given, else 8)'),
    batch: batchSetting,
    precision: z
      .enum(precisions)
      .optional()
      .describe('fp32, tf32 or bf16 autocast (default: that of the loaded generator, fp32)'),
    force: z
      .boolean()
      .default(false)
      .describe('overwrite numbered files; decode with another tokenizer than the one it was trained for'),
    graphs: z
      .boolean()
      .default(false)
      .describe("record the network's evaluations as CUDA graphs, which helps small models on fast GPUs")
  })
  .extend(samplingSchema.shape)
