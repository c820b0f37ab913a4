import { z } from 'zod'
import { positive } from '../config.js'
import { maxClasses } from '../latents/limits.js'
import {
  blockCount,
  checkParameters,
  headCount,
  leastParameters,
  mlpFactor,
  mostTokens,
  patchSide,
  tokenCount,
  tokenWidth
} from '../tensor/sizes.js'

/** The flow from noise to data, and what the network predicts of it. */
export const flowSchema = z.strictObject({
  path: z
    .enum(['linear', 'gvp', 'vp'])
    .default('linear')
    .describe('how data and noise mix over time: t and 1 − t, sine and cosine, or variance-preserving diffusion'),
  prediction: z
    .enum(['velocity', 'noise', 'score'])
    .default('velocity')
    .describe('what the network predicts from noisy latents'),
  time: z
    .enum(['data_at_1', 'data_at_0'])
    .default('data_at_1')
    .describe("the network's direction of time; data_at_0 for checkpoints of REPA, SoftVQ and MAETok")
})

/** A generator's network, independent of its latents. */
export const architectureSchema = z.strictObject({
  model: z
    .enum(['sit', 'lightning-dit'])
    .default('sit')
    .describe('SiT, or LightningDiT with RMS norms, SwiGLU and rotary positions'),
  width: tokenWidth.default(1152).describe('D, the width of the tokens'),
  depth: blockCount.default(28).describe('number of blocks'),
  heads: headCount.default(16).describe('attention heads'),
  mlpRatio: mlpFactor.default(4).describe('hidden width of the MLP as a multiple of D'),
  patchSize: patchSide.default(1).describe('side of a patch of latents [C, H, W]; 1 for tokens'),
  learnSigma: z
    .boolean()
    .default(false)
    .describe('double the output channels and discard the second half (published 2-D SiT)'),
  qkNorm: z.boolean().default(false).describe('RMS norms on queries and keys (LightningDiT)'),
  shift: z.boolean().default(true).describe("adaLN with shifts; false: LightningDiT's wo_shift")
})

interface Network {
  model: string
  width: number
  depth: number
  heads: number
  mlpRatio: number
  qkNorm: boolean
  shift: boolean
}

/** Checks, for a schema's `superRefine`, the width, the options that only LightningDiT has, and the number of parameters. */
export function checkNetwork(config: Network, context: z.RefinementCtx, where: string[] = []): void {
  const issue = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [...where, field], message })
  const { model, width, heads, qkNorm, shift } = config
  if (width % heads !== 0) issue('heads', `expected a divisor of width (${width}) but received ${heads}`)
  else if (model === 'lightning-dit' && (width / heads) % 4 !== 0) {
    issue('heads', `expected a multiple of 4 channels per head for rotary positions but received ${width / heads}`)
  }
  if (model === 'sit' && (qkNorm || !shift)) {
    issue(qkNorm ? 'qkNorm' : 'shift', 'expected the default, because SiT has no such option')
  }
  checkParameters(leastParameters([config], 0), (path, message) =>
    context.addIssue({ code: 'custom', path: [...where, ...path], message })
  )
}

/** @internal A lower bound on a generator's parameters. */
export const leastGeneratorParameters = (sizes: Network & { classes: number }): number =>
  leastParameters([sizes], sizes.classes)

/** @internal T, the length of the sequence that the network computes. */
export function sequenceLength({ latentShape, patchSize }: { latentShape: number[]; patchSize: number }): number {
  const [first, side] = latentShape as [number, number]
  return latentShape.length === 2 ? first : (side / patchSize) ** 2
}

/** A complete generator: its network, its latents and its classes. */
export const generatorSchema = architectureSchema
  .extend({
    /** [L, Z] for tokens, [C, H, W] for latents on a grid. */
    latentShape: z.array(tokenCount).min(2).max(3),
    classes: positive.max(maxClasses),
    flow: flowSchema.prefault({})
  })
  .superRefine((config, context) => {
    checkNetwork(config, context)
    const { latentShape, patchSize } = config
    const [, height, width] = latentShape
    const fits = latentShape.length === 2 ? patchSize === 1 : height === width && (height as number) % patchSize === 0
    if (!fits) {
      const expected = latentShape.length === 2 ? '1 for tokens' : `a divisor of a square grid (${height}×${width})`
      context.addIssue({
        code: 'custom',
        path: ['patchSize'],
        message: `expected ${expected} but received ${patchSize}`
      })
    } else if (latentShape.length === 3 && ((height as number) / patchSize) ** 2 > mostTokens) {
      const message = `expected at most ${mostTokens} patches but received ${((height as number) / patchSize) ** 2}`
      context.addIssue({ code: 'custom', path: ['latentShape'], message })
    }
  })

export type GeneratorArchitecture = z.output<typeof architectureSchema>
export type GeneratorConfig = z.output<typeof generatorSchema>
export type GeneratorConfigInput = z.input<typeof generatorSchema>
