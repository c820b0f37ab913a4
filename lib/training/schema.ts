/** Settings that every kind of training has. */

import { z } from 'zod'
import { fraction, mergeConfig, parseConfig, positive } from '../config.js'

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
    .describe('use min(decay, (1+n)/(10+n)) at update n, so that short runs forget their initial weights')
})

/** How a run computes, whatever it trains. */
export const computing = {
  precision: z
    .enum(['auto', 'fp32', 'tf32', 'bf16'])
    .default('auto')
    .describe(
      'bf16: autocast over fp32 weights; tf32: CUDA rounds products; auto: bf16 where the hardware supports it'
    ),
  graphs: z
    .boolean()
    .nullable()
    .default(null)
    .describe('record steps as CUDA graphs, which speeds up small models on fast GPUs; null: on CUDA devices'),
  checkpointing: z.boolean().default(false).describe('recompute activations in the backward pass to save memory')
}

/** What a run keeps and reports, whatever it trains. */
export const keeping = {
  ema: emaSchema.prefault({}),
  checkpoint: checkpointSchema.prefault({}),
  maxSkipped: positive
    .default(100)
    .describe('stop after so many steps in a row with a loss or gradient that is not finite (checked when logging)'),
  log: z.strictObject({ every: positive.default(50).describe('steps between lines of the metrics log') }).prefault({})
}

const shared = z.object({ ...computing, ...keeping })

/** What the configuration of every kind of training has. */
export type SharedConfig = z.output<typeof shared> & {
  steps: number
  batch: number
  microBatch: number | null
  seed: number
  grid: { every: number | null }
}

/** What a caller may write of it, and of what each kind has of its own. */
export type SharedInput = z.input<typeof shared> & {
  preset?: string | null | undefined
  steps?: number | undefined
  optimizer?: object | undefined
  loss?: object | undefined
}

/** Explains why a micro-batch does not fit; null where it does. */
export const microBatchIssue = ({ batch, microBatch }: { batch: number; microBatch: number | null }): string | null =>
  microBatch !== null && batch % microBatch !== 0
    ? `expected a divisor of batch (${batch}) but received ${microBatch}`
    : null

/**
 * Lays settings over those of the preset that they name, and fills in the defaults.
 * @param input - a preset's name, or settings
 * @param presetSettings - the settings of a preset; throws for an unknown one
 * @throws what parseConfig throws
 */
export function resolveSettings<S extends z.core.$ZodType>(
  schema: S,
  input: string | { preset?: string | null | undefined },
  presetSettings: (name: string) => unknown
): z.output<S> {
  const settings = typeof input === 'string' ? { preset: input } : input
  const name = settings?.preset
  const isNamed = name !== undefined && name !== null
  return parseConfig(schema, isNamed ? mergeConfig(presetSettings(name), settings) : settings)
}
