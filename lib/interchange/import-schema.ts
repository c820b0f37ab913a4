import { z } from 'zod'
import { fraction, positive } from '../config.js'

export const importLayouts = ['dinov2', 'inception', 'continuous-tokenizer', 'sit', 'repa', 'lightningdit'] as const
export type ImportLayout = (typeof importLayouts)[number]

/** Settings that the checkpoint's shapes and record do not determine, or get wrong. Null: as they say. */
export const importSchema = z.strictObject({
  layout: z
    .enum(importLayouts)
    .nullable()
    .default(null)
    .describe('the project that the checkpoint comes from; none: detected from its names'),
  group: z
    .string()
    .nullable()
    .default(null)
    .describe('the state dict to read of a checkpoint with several (default: the averaged one, then model)'),
  heads: positive.nullable().default(null).describe('attention heads'),
  keep: z.boolean().default(false).describe('keep unused tensors beside the model, for an export'),
  path: z.enum(['linear', 'gvp', 'vp']).nullable().default(null).describe("a generator's path"),
  prediction: z.enum(['velocity', 'noise', 'score']).nullable().default(null).describe("a generator's prediction"),
  time: z
    .enum(['data_at_1', 'data_at_0'])
    .nullable()
    .default(null)
    .describe("direction of a generator's time: data_at_0 for REPA and continuous_tokenizer"),
  statistics: z
    .string()
    .nullable()
    .default(null)
    .describe(
      "statistics that normalised a generator's latents: latents_stats.json or LightningDiT's latents_stats.pt"
    ),
  latentScale: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("factor on a generator's latents (Stable Diffusion: 0.18215)"),
  tokenizer: z
    .string()
    .nullable()
    .default(null)
    .describe('folder of the tokenizer whose latents a generator generates'),
  guidance: z
    .strictObject({
      scale: z.number().nullable().default(null).describe('recommended guidance scale'),
      low: fraction.default(0).describe("first guided time, in the checkpoint's direction of time"),
      high: fraction.default(1).describe("last guided time, in the checkpoint's direction of time"),
      channels: positive.nullable().default(null).describe('guided channels; none: all')
    })
    .prefault({}),
  temperature: z.number().positive().nullable().default(null).describe("temperature of SoftVQ's softmax (0.07)"),
  normalise: z
    .boolean()
    .nullable()
    .default(null)
    .describe('whether SoftVQ normalises tokens and codes to length 1 (true)')
})

export type ImportSettings = z.output<typeof importSchema>
export type ImportOptions = z.input<typeof importSchema> & {
  /** Store it in the cache under this name. */
  name?: string
  /** The folder to write, instead of a name. */
  out?: string
}
