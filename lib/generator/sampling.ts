import { z } from 'zod'
import { fraction, parseConfig, positive } from '../config.js'
import { invalidParameter } from '../errors.js'
import type { NativeSamplerConfig, Precision } from '../native/addon.js'

/** How an SDE solver adds noise and ends (SiT's names). */
export const diffusionSchema = z.strictObject({
  form: z
    .enum(['constant', 'sbdm', 'sigma', 'linear', 'decreasing', 'increasing-decreasing'])
    .default('sigma')
    .describe('how the added noise changes over time'),
  norm: z.number().positive().default(1).describe('magnitude of the added noise'),
  lastStep: z
    .enum(['mean', 'tweedie', 'euler', 'none'])
    .default('mean')
    .describe('kind of the last step, which adds no noise'),
  lastStepSize: z.number().positive().max(0.5).default(0.04).describe('length of the last step')
})

/** How samples are drawn; method.md §7. */
export const samplingSchema = z.strictObject({
  sampler: z
    .enum(['euler', 'heun', 'midpoint', 'dopri5', 'euler-maruyama', 'sde-heun'])
    .default('heun')
    .describe('an ODE solver (euler, heun, midpoint, adaptive dopri5) or an SDE solver'),
  steps: positive
    .default(50)
    .describe('steps of all samplers but dopri5; heun, midpoint and sde-heun evaluate twice per step'),
  shift: z.number().positive().default(1).describe("below 1: more steps at high noise; LightningDiT's is 0.3"),
  rtol: z.number().positive().default(1e-3).describe("dopri5's relative tolerance"),
  atol: z.number().positive().default(1e-6).describe("dopri5's absolute tolerance"),
  control: z
    .enum(['sample', 'batch'])
    .default('sample')
    .describe('dopri5: a step size per sample, or one per batch as torchdiffeq'),
  state: z.enum(['float32', 'float64']).default('float32').describe('precision of the state that steps accumulate in'),
  diffusion: diffusionSchema.prefault({}),
  guidance: z
    .strictObject({
      scale: z.number().default(1).describe('1: none; above 1: away from the unconditional prediction'),
      low: fraction.default(0).describe('first guided time (0 is noise, 1 is data)'),
      high: fraction.default(1).describe('last guided time'),
      channels: positive
        .nullable()
        .default(null)
        .describe('guide only the first channels (3 for published scales of SiT and LightningDiT); null: all')
    })
    .prefault({})
})

export type SamplingConfig = z.output<typeof samplingSchema>
export type SamplingConfigInput = z.input<typeof samplingSchema>

/** Guidance as a scale, or with its interval and channels. */
export type GuidanceInput = number | SamplingConfigInput['guidance']

/**
 * Completes sampling settings.
 * @throws {TypeError | RangeError} for an unknown setting, or one out of range
 */
export function resolveSampling(
  input: Omit<SamplingConfigInput, 'guidance'> & { guidance?: GuidanceInput | undefined }
): SamplingConfig {
  const { guidance, ...rest } = input
  const complete = typeof guidance === 'number' ? { scale: guidance } : guidance
  const config = parseConfig(samplingSchema, complete === undefined ? rest : { ...rest, guidance: complete })
  const { low, high } = config.guidance
  if (low > high) throw invalidParameter('guidance.low', `at most guidance.high (${high})`, low)
  if (config.diffusion.lastStep !== 'none' && config.steps < 2 && /euler-maruyama|sde/.test(config.sampler)) {
    throw invalidParameter('steps', 'at least 2, one of which is the last step', config.steps)
  }
  return config
}

/** The complete sampler settings for C++. */
export const nativeSamplerConfig = (
  { sampler, guidance: _, ...config }: SamplingConfig,
  drawn: { seed: number; firstIndex: number; precision: Precision; graphs: boolean }
): NativeSamplerConfig => ({ ...config, method: sampler, ...drawn })
