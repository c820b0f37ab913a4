/** Settings of everything that runs a network over many images. */

import { z } from 'zod'
import { natural } from '../config.js'
import type { Precision } from '../native/addon.js'
import { batchCount } from './sizes.js'

/** Images per pass where nothing else is set: large enough to keep a GPU busy, small enough for a laptop. */
export const BATCH = 64

export const batchSetting = batchCount.default(BATCH).describe('images per pass')

export const precisions = ['fp32', 'tf32', 'bf16'] as const satisfies Precision[]
export const defaultPrecision: Precision = 'fp32'
export const precisionSetting = z
  .enum(precisions)
  .default(defaultPrecision)
  .describe('fp32, tf32 (fp32 with rounded products on CUDA), or bf16 autocast')

export const seedSetting = natural.default(0)
