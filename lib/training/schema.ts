import { z } from 'zod'

/** Settings that every kind of training has. */

export const count = z.number().int().nonnegative()
export const positive = z.number().int().positive()
export const fraction = z.number().min(0).max(1)

export const checkpointSchema = z.strictObject({
  every: positive.default(5_000).describe('steps between checkpoints; one is always written at the end'),
  keep: positive.default(3).describe('newest checkpoints to keep'),
  keepEvery: positive.nullable().default(null).describe('also keep every checkpoint whose step is a multiple of this')
})

export const emaSchema = z.strictObject({
  decay: fraction.default(0.9999).describe('decay of the moving average of the weights'),
  warmup: z
    .boolean()
    .default(true)
    .describe('use min(decay, (1+n)/(10+n)) at update n, so that short runs forget their start')
})

/** How a run computes, whatever it trains. */
export const computing = {
  precision: z
    .enum(['auto', 'fp32', 'tf32', 'bf16'])
    .default('auto')
    .describe(
      'bf16: autocast over fp32 weights; tf32: CUDA rounds products; auto: bf16 where the device computes in it'
    ),
  graphs: z.boolean().default(false).describe('record steps as CUDA graphs, which helps small models on fast GPUs'),
  checkpointing: z.boolean().default(false).describe('recompute activations in the backward pass to save memory')
}

/** What a run keeps and tells, whatever it trains. */
export const keeping = {
  ema: emaSchema.prefault({}),
  checkpoint: checkpointSchema.prefault({}),
  maxSkipped: positive
    .default(100)
    .describe('stop after so many steps in a row with a loss or gradient that is not finite (seen when logging)'),
  log: z.strictObject({ every: positive.default(50).describe('steps between lines of the metrics log') }).prefault({})
}

/** Why a micro-batch does not fit, or null. */
export const microBatchIssue = ({ batch, microBatch }: { batch: number; microBatch: number | null }): string | null =>
  microBatch !== null && batch % microBatch !== 0
    ? `expected a divisor of batch (${batch}) but received ${microBatch}`
    : null
