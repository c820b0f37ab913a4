/** Whether a training fits into the memory, before anything large is allocated. */

import { MactokError } from '../../errors.js'
import { gigabytes, memoryOf, placeOf } from '../../native/memory.js'
import type { SharedConfig } from '../schema.js'
import { estimateMemory, memoryAssumptions } from './memory.js'
import type { AttentionKind, Precision } from './transformer.js'
import type { Work } from './work.js'

/** A prediction of a run's memory on one device, in bytes. */
export interface Fit {
  needed: number
  available: number
}

/** Predictions were off by up to this share where they were measured (docs/scaling.md). */
const uncertainty = 0.15

/** How attention is computed: our kernel for bfloat16 on CPUs keeps its weights. */
export const attentionOn = (device: string, precision: Precision): AttentionKind =>
  device === 'cpu' && precision === 'bf16' ? 'products' : 'fused'

interface Request {
  config: Pick<SharedConfig, 'batch' | 'microBatch'> & { precision: Precision }
  device: string
  ranks: number
  sharded: boolean
  /** Trains even where the memory is expected not to suffice. */
  force: boolean
  notice(message: string): void
}

/**
 * Predicts the memory of a run; null where the device's memory is unknown. What is too much by more than the prediction's uncertainty
 * is refused, what is too much by less is said.
 * @throws {MactokError} ERR_OUT_OF_MEMORY, with figures and what would fit
 */
export async function requireFit(work: Work, request: Request): Promise<Fit | null> {
  const { config, device, ranks, sharded, force, notice } = request
  const available = await memoryOf(device)
  if (available === undefined) return null
  const { batch, precision } = config
  const context = device === 'cpu' ? memoryAssumptions.process : memoryAssumptions.context
  const need = (microBatch: number) => estimateMemory(work, { microBatch, precision, ranks, sharded, context }).total
  const needed = need(config.microBatch ?? batch)
  if (needed <= available) return { needed, available }
  let fitting = batch
  while (fitting > ranks && (batch % fitting !== 0 || fitting % ranks !== 0 || need(fitting) > available)) fitting--
  const fits = need(fitting) <= available
  const remedy = fits ? `microBatch ${fitting} (--micro-batch) would fit` : 'checkpointing (--checkpointing) needs less'
  const finding = `The training needs about ${gigabytes(needed)}, more than the ${gigabytes(available)} of ${placeOf(device)}: ${remedy}`
  if (needed * (1 - uncertainty) > available && !force) {
    throw new MactokError('ERR_OUT_OF_MEMORY', `${finding}; force (--force) tries it nevertheless`)
  }
  notice(finding)
  return { needed, available }
}
