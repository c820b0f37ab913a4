import { z } from 'zod'
import { positive } from '../config.js'
import { defaultMaxPixels, orientations } from '../data/decode.js'
import { defaultPreprocess, preprocesses } from '../data/evaluation-batches.js'
import { batchSetting, precisionSetting, seedSetting } from '../tensor/settings.js'

/** Settings of `encodeImages`. */
export const encodeSchema = z.strictObject({
  dtype: z.enum(['float32', 'float16', 'bfloat16']).default('float32').describe('type of the stored latents'),
  moments: z
    .boolean()
    .default(false)
    .describe('store posterior means and log-variances, so that training can sample again'),
  sample: z.boolean().default(false).describe('store a sample of the posterior instead of its mean'),
  seed: seedSetting.describe('seed of --sample; the noise of image i depends on the seed and i'),
  flip: z.boolean().default(true).describe('also encode the mirrored images, as LightningDiT expects'),
  shardSize: positive.default(10_000).describe('images per shard'),
  batch: batchSetting,
  precision: precisionSetting,
  preprocess: z
    .enum(preprocesses)
    .default(defaultPreprocess)
    .describe("adm: exactly ADM's centre crop; fast: the image decoder's own downscaling"),
  orientation: z
    .enum(orientations)
    .default('apply')
    .describe('apply: turn images as their EXIF says; ignore: as stored, as ADM and references of published FIDs do'),
  maxPixels: positive.default(defaultMaxPixels).describe('pixels of the largest image; larger ones are unreadable'),
  append: z
    .boolean()
    .default(false)
    .describe('add images to a finished folder; new ones must come after all others in the sorted listing'),
  repair: z
    .boolean()
    .default(false)
    .describe('check every value of the shards and the contents of all images, and encode again what differs'),
  strict: z.boolean().default(false).describe('stop at an unreadable image instead of skipping it')
})

export type EncodeSettings = z.output<typeof encodeSchema>
