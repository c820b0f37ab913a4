import { z } from 'zod'
import { natural } from '../config.js'
import { batchSetting, precisionSetting } from '../tensor/settings.js'

/** Settings of `decodeShards`. */
export const decodeSchema = z.strictObject({
  start: natural.default(0).describe('first image'),
  end: natural.optional().describe('image after the last one (default: the number of images)'),
  batch: batchSetting,
  precision: precisionSetting,
  force: z
    .boolean()
    .default(false)
    .describe('overwrite files, except encoded images; decode shards of another tokenizer')
})
