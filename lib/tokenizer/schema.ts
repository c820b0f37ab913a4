import { z } from 'zod'
import { positive } from '../config.js'
import {
  blockCount,
  channelCount,
  checkParameters,
  headCount,
  imageSide,
  leastParameters,
  mlpFactor,
  mostTokens,
  patchSide,
  tokenCount,
  tokenWidth
} from '../tensor/sizes.js'

/** A vision transformer: the encoder or the decoder. */
export const vitSchema = z.strictObject({
  width: tokenWidth.default(768).describe('D, the width of the tokens'),
  depth: blockCount.default(12).describe('number of blocks'),
  heads: headCount.default(12).describe('attention heads'),
  mlpRatio: mlpFactor.default(4).describe('hidden width of the MLP as a multiple of the width'),
  layerScale: z
    .number()
    .positive()
    .nullable()
    .default(1e-5)
    .describe('initial LayerScale: 1e-5 suits a DINOv2 initialisation, 1 a tiny model from scratch; null: none'),
  /** On in the encoder as in SoftVQ and MAETok, off in the decoder as in MAETok. */
  cls: z.boolean(),
  positions: z
    .enum(['learned', 'rope'])
    .default('learned')
    .describe('learned absolute positions, or mixed RoPE on the image tokens (MAETok)'),
  ropeTheta: z.number().positive().default(10).describe('base of the RoPE frequencies')
})

/** SoftVQ's bottleneck: the tokens are divided into K groups of consecutive tokens, each with its own codebook. */
export const softvqSchema = z.strictObject({
  codebooks: tokenCount.describe('K, a divisor of the latent tokens'),
  codebookSize: positive.max(1_048_576).describe('codes per codebook'),
  temperature: z.number().positive().describe('temperature of the softmax over codes (SoftVQ: 0.07)'),
  normalise: z.boolean().describe('normalise tokens and codes to length 1')
})

interface Sizes {
  latentTokens: number
  latentChannels: number
  softvq?: z.output<typeof softvqSchema> | undefined
  encoder: z.output<typeof vitSchema>
  decoder: z.output<typeof vitSchema>
}

/** @internal A lower bound on a tokenizer's parameters. */
export function leastTokenizerParameters(sizes: Sizes): number {
  const { encoder, decoder, softvq, latentTokens, latentChannels } = sizes
  const codes = softvq ? softvq.codebooks * softvq.codebookSize * latentChannels : 0
  return leastParameters([encoder, decoder], latentTokens) + codes
}

/** The tokenizer's architecture (method.md §1, with the papers' symbols p, L, Z and D). */
export const tokenizerSchema = z
  .strictObject({
    imageSize: imageSide.default(256).describe('side of the square image, in pixels'),
    patchSize: patchSide.default(16).describe('p, side of a patch in pixels'),
    latentTokens: tokenCount.default(128).describe('L, the number of latent tokens'),
    latentChannels: channelCount.default(32).describe('Z, the channels of a latent token'),
    bottleneck: z
      .enum(['kl', 'ae', 'softvq'])
      .default('kl')
      .describe('kl: a Gaussian posterior (MacTok); ae: plain latents (MAETok); softvq: mixtures of codes (SoftVQ)'),
    // Optional without a default, which would change the identity of every tokenizer without it.
    softvq: softvqSchema.optional(),
    logvarRange: z
      .tuple([z.number(), z.number()])
      .default([-30, 20])
      .describe('range to which the log-variance is clamped'),
    encoder: vitSchema.extend({ cls: z.boolean().default(true).describe('use a cls token') }).prefault({}),
    decoder: vitSchema.extend({ cls: z.boolean().default(false).describe('use a cls token') }).prefault({})
  })
  .superRefine((config, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const patches = (config.imageSize / config.patchSize) ** 2
    if (config.imageSize % config.patchSize !== 0) {
      issue(['patchSize'], `expected a divisor of imageSize (${config.imageSize}) but received ${config.patchSize}`)
    } else if (patches > mostTokens) {
      issue(['patchSize'], `expected at most ${mostTokens} patches of an image but received ${patches}`)
    }
    checkParameters(leastTokenizerParameters(config), issue)
    for (const part of ['encoder', 'decoder'] as const) {
      const { width, heads, positions } = config[part]
      if (width % heads !== 0) issue([part, 'heads'], `expected a divisor of width (${width}) but received ${heads}`)
      else if (positions === 'rope' && (width / heads) % 4 !== 0) {
        issue([part, 'width'], `expected a multiple of 4 per head for rope but received ${width / heads}`)
      }
    }
    const { bottleneck, softvq, latentTokens } = config
    if ((bottleneck === 'softvq') !== (softvq !== undefined)) {
      issue(['softvq'], `expected ${softvq ? 'nothing' : 'the codebooks'} with the bottleneck ${bottleneck}`)
    } else if (softvq && latentTokens % softvq.codebooks !== 0) {
      const message = `expected a divisor of latentTokens (${latentTokens}) but received ${softvq.codebooks}`
      issue(['softvq', 'codebooks'], message)
    }
    const [low, high] = config.logvarRange
    if (low >= high) issue(['logvarRange'], `expected [low, high] with low < high but received [${low}, ${high}]`)
  })

export type TokenizerConfig = z.output<typeof tokenizerSchema>
export type TokenizerConfigInput = z.input<typeof tokenizerSchema>
