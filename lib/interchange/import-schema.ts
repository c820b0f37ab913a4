import { z } from 'zod'

export type ImportLayout = 'dinov2' | 'inception' | 'continuous-tokenizer' | 'sit' | 'repa' | 'lightningdit'

/** What shapes and the checkpoint's own record do not tell, or tell wrongly. Null: as they say. */
export const importSchema = z.strictObject({
  layout: z
    .enum(['dinov2', 'inception', 'continuous-tokenizer', 'sit', 'repa', 'lightningdit'])
    .nullable()
    .default(null)
    .describe('whose checkpoint it is; none: told by its names'),
  group: z
    .string()
    .nullable()
    .default(null)
    .describe('the state dict of a checkpoint that has several (ema, then model)'),
  heads: z.number().int().positive().nullable().default(null).describe('attention heads'),
  keep: z.boolean().default(false).describe('keep what the model has no use for beside it, for an export'),
  path: z.enum(['linear', 'gvp', 'vp']).nullable().default(null).describe("a generator's path"),
  prediction: z.enum(['velocity', 'noise', 'score']).nullable().default(null).describe('what a generator predicts'),
  time: z
    .enum(['data_at_1', 'data_at_0'])
    .nullable()
    .default(null)
    .describe("direction of a generator's time: data_at_0 for REPA and continuous_tokenizer"),
  statistics: z
    .string()
    .nullable()
    .default(null)
    .describe("what a generator's latents were normalised with: latents_stats.json or LightningDiT's latents_stats.pt"),
  latentScale: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("factor on a generator's latents (Stable Diffusion: 0.18215)"),
  tokenizer: z.string().nullable().default(null).describe('folder of the tokenizer whose latents a generator makes'),
  guidance: z
    .strictObject({
      scale: z.number().nullable().default(null).describe('recommended guidance scale'),
      low: z.number().min(0).max(1).default(0).describe("guided from this time of the checkpoint's own on"),
      high: z.number().min(0).max(1).default(1).describe("guided up to this time of the checkpoint's own"),
      channels: z.number().int().positive().nullable().default(null).describe('guided channels; none: all')
    })
    .prefault({}),
  temperature: z.number().positive().nullable().default(null).describe("of SoftVQ's softmax (0.07)"),
  normalise: z.boolean().nullable().default(null).describe("whether SoftVQ's tokens and codes have length 1 (true)")
})

export type ImportSettings = z.output<typeof importSchema>
export type ImportOptions = z.input<typeof importSchema> & {
  /** Keeps it in the cache under this name. */
  name?: string
  /** Or the folder to write. */
  out?: string
}
