import { z } from 'zod'

const positive = z.number().int().positive()

/** One vision transformer: the encoder or the decoder. */
export const vitSchema = z.strictObject({
  /** D, the width of the tokens. */
  width: positive.default(768),
  depth: positive.default(12),
  heads: positive.default(12),
  mlpRatio: z.number().positive().default(4),
  /** Initial value of LayerScale, or null for none. 1e-5 suits a DINOv2 initialisation, 1 a tiny model from scratch. */
  layerScale: z.number().positive().nullable().default(1e-5),
  /** Whether a `cls` token takes part (encoder on as in SoftVQ and MAETok, decoder off as in MAETok). */
  cls: z.boolean(),
  /** `learned` absolute positions, or mixed `rope` on the image tokens instead (MAETok). */
  positions: z.enum(['learned', 'rope']).default('learned'),
  ropeTheta: z.number().positive().default(10)
})

/** The tokenizer's architecture (method.md §1 in the sources' terms: p, L, Z, D). */
export const tokenizerSchema = z
  .strictObject({
    /** Side of the square picture, in pixels. */
    imageSize: positive.default(256),
    /** p, side of a patch in pixels. */
    patchSize: positive.default(16),
    /** L, the number of latent tokens. */
    latentTokens: positive.default(128),
    /** Z, the channels of a latent token. */
    latentChannels: positive.default(32),
    /** `kl`: a Gaussian posterior (MacTok). `ae`: latents without one (imported MAETok). */
    bottleneck: z.enum(['kl', 'ae']).default('kl'),
    /** The log-variance is clamped to this range. */
    logvarRange: z.tuple([z.number(), z.number()]).default([-30, 20]),
    encoder: vitSchema.extend({ cls: z.boolean().default(true) }).prefault({}),
    decoder: vitSchema.extend({ cls: z.boolean().default(false) }).prefault({})
  })
  .superRefine((config, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (config.imageSize % config.patchSize !== 0) {
      issue(['patchSize'], `expected a divisor of imageSize (${config.imageSize}) but received ${config.patchSize}`)
    }
    for (const part of ['encoder', 'decoder'] as const) {
      const { width, heads, positions } = config[part]
      if (width % heads !== 0) issue([part, 'heads'], `expected a divisor of width (${width}) but received ${heads}`)
      else if (positions === 'rope' && (width / heads) % 4 !== 0) {
        issue([part, 'width'], `expected a multiple of 4 per head for rope but received ${width / heads}`)
      }
    }
    const [low, high] = config.logvarRange
    if (low >= high) issue(['logvarRange'], `expected [low, high] with low < high but received [${low}, ${high}]`)
  })

export type TokenizerConfig = z.output<typeof tokenizerSchema>
export type TokenizerConfigInput = z.input<typeof tokenizerSchema>
