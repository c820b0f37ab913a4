import { z } from 'zod'
import { fraction, positive } from '../config.js'
import { precisionSetting, seedSetting } from '../tensor/settings.js'

/** Settings of `reconstruct`. */
export const reconstructSchema = z.strictObject({
  count: positive.default(12).describe('images, spread over the listing'),
  ratio: fraction.default(0.5).describe('part of the patches that the masks hide, from 0 to 1'),
  seed: seedSetting.describe('seed of the random masks'),
  zoom: positive.max(64).optional().describe('whole-number magnification (default: to about 128 pixels)'),
  precision: precisionSetting
})
