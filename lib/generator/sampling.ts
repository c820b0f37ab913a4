import { z } from 'zod'
import { parseConfig } from '../config.js'
import { invalidParameter } from '../errors.js'
import type { NativeSamplerConfig, Precision } from '../native/addon.js'

const positive = z.number().int().positive()
const fraction = z.number().min(0).max(1)

/** How an SDE adds noise and ends (SiT's names). */
export const diffusionSchema = z.strictObject({
  form: z
    .enum(['constant', 'sbdm', 'sigma', 'linear', 'decreasing', 'increasing-decreasing'])
    .default('sigma')
    .describe('how the added noise changes over time'),
  norm: z.number().positive().default(1).describe('its magnitude'),
  lastStep: z.enum(['mean', 'tweedie', 'euler', 'none']).default('mean').describe('the last step, without noise'),
  lastStepSize: z.number().positive().max(0.5).default(0.04).describe('its length')
})

/** How samples are drawn; method.md §7. */
export const samplingSchema = z.strictObject({
  sampler: z
    .enum(['euler', 'heun', 'midpoint', 'dopri5', 'euler-maruyama', 'sde-heun'])
    .default('heun')
    .describe('an ODE solver (euler, heun, midpoint, adaptive dopri5) or an SDE solver'),
  steps: positive.default(50).describe('steps of all but dopri5; heun, midpoint and sde-heun evaluate twice a step'),
  shift: z.number().positive().default(1).describe("moves steps towards noise below 1; LightningDiT's is 0.3"),
  rtol: z.number().positive().default(1e-3).describe("dopri5's relative tolerance"),
  atol: z.number().positive().default(1e-6).describe("dopri5's absolute tolerance"),
  control: z
    .enum(['sample', 'batch'])
    .default('sample')
    .describe('dopri5: a step size for each sample, or one for the batch as torchdiffeq'),
  state: z.enum(['float32', 'float64']).default('float32').describe('precision of what the steps add up'),
  diffusion: diffusionSchema.prefault({}),
  guidance: z
    .strictObject({
      scale: z.number().default(1).describe('1: none; above 1: away from what the network predicts without a class'),
      low: fraction.default(0).describe('guided from this time on (0 is noise, 1 is data)'),
      high: fraction.default(1).describe('guided up to this time'),
      channels: positive
        .nullable()
        .default(null)
        .describe('only the first channels (3 in published SiT and LightningDiT scales); null: all')
    })
    .prefault({})
})

export type SamplingConfig = z.output<typeof samplingSchema>
export type SamplingConfigInput = z.input<typeof samplingSchema>

/** Guidance as callers may write it: a scale alone, or with its interval. */
export type GuidanceInput = number | SamplingConfigInput['guidance']

/**
 * Complete sampling settings.
 * @throws {TypeError | RangeError} an unknown setting, or one out of its range
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
    throw invalidParameter('steps', 'at least 2, the last step being one', config.steps)
  }
  return config
}

/** The sampler as C++ takes it. */
export const nativeSamplerConfig = (
  { sampler, guidance: _, ...config }: SamplingConfig,
  drawn: { seed: number; firstIndex: number; precision: Precision; graphs: boolean }
): NativeSamplerConfig => ({ ...config, method: sampler, ...drawn })
