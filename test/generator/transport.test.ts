import { beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeFlowConfig, NativeTensor } from '../../lib/native/addon.js'
import { diffusionConfig, flowConfig, goldenGenerator, sample } from '../support/generator.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { floats, native, tensor } from '../support/native.js'
import type { TestingGenerator } from '../support/testing-addon.js'

// willisma/SiT's transport on a tiny 1-D SiT (test/golden/transport.safetensors).
const golden = new Golden('transport')
const named = (prefix: string) => [...golden.tensors.keys()].filter((key) => key.startsWith(prefix))
const path = (name: string) => name.toLowerCase() as NativeFlowConfig['path']
const get = (key: string): NativeTensor => tensor(golden.get(key))

let generator: TestingGenerator

beforeAll(async () => {
  generator = await goldenGenerator(golden, { latentShape: [6, 4], width: 32, depth: 1, heads: 2 })
})

describe('losses at given noise and times', () => {
  test.each(named('loss.'))('%s', async (key) => {
    const [, kind, prediction, weighting] = key.split('.') as [string, string, 'velocity', string]
    const { flow } = await native().flowLosses(
      generator,
      flowConfig({ path: path(kind), prediction }),
      { weighting: weighting.toLowerCase() as 'none', direction: 0 },
      get('x1'),
      get('y'),
      get('loss_noise'),
      get('loss_t')
    )
    expect(relativeError(await floats(flow), golden.floats(key))).toBeLessThan(1e-5)
  })
})

describe('what a solver evaluates', () => {
  test.each(named('score.'))('%s', async (key) => {
    const [, kind, ...time] = key.split('.') as [string, string]
    const { score } = await native().flowField(
      ...([generator, flowConfig({ path: path(kind) }), diffusionConfig(), get('z'), get('y')] as const),
      Number((time as string[]).join('.'))
    )
    expect(relativeError(await floats(score), golden.floats(key))).toBeLessThan(1e-5)
  })

  test.each(named('sde_drift.'))('%s', async (key) => {
    const [, kind, form, ...time] = key.split('.') as [string, string, string]
    const { drift, diffusion } = await native().flowField(
      ...([generator, flowConfig({ path: path(kind) })] as const),
      diffusionConfig({ form: form.toLowerCase() as 'sbdm' }),
      ...([get('z'), get('y'), Number((time as string[]).join('.'))] as const)
    )
    expect(relativeError(await floats(drift), golden.floats(key))).toBeLessThan(1e-5)
    const amount = golden.floats(key.replace('drift', 'diffusion'))[0] as number
    expect(Math.abs(diffusion / amount - 1)).toBeLessThan(1e-5)
  })
})

describe('end points of the ODE', () => {
  // The reference's 11 times are 10 steps.
  const method = { euler: 'euler', heun2: 'heun', midpoint: 'midpoint', dopri5: 'dopri5' } as const
  test.each(named('ode.'))('%s', async (key) => {
    const [, kind, solver] = key.split('.') as [string, string, keyof typeof method]
    const { latents } = await sample(generator, get('y'), {
      flow: { path: path(kind) },
      config: { method: method[solver], steps: 10, rtol: 1e-5, atol: 1e-6 },
      start: get('z')
    })
    expect(relativeError(latents, golden.floats(key))).toBeLessThan(solver === 'dopri5' ? 1e-4 : 1e-5)
  })
})

describe('end points of the SDE with given noise', () => {
  test.each(named('sde.'))('%s', async (key) => {
    const [, kind, solver, last] = key.split('.') as [string, string, 'Euler' | 'Heun', string]
    const { latents } = await sample(generator, get('y'), {
      flow: { path: path(kind) },
      config: {
        method: solver === 'Euler' ? 'euler-maruyama' : 'sde-heun',
        // The reference's 8 are seven steps and the last one, which `None` leaves out.
        steps: last === 'None' ? 7 : 8,
        diffusion: diffusionConfig({ lastStep: last.toLowerCase() as 'none' })
      },
      start: get('z'),
      increments: get(`sde_noise.${solver}`)
    })
    expect(latents.every(Number.isFinite)).toBe(true)
    const expected = golden.floats(key)
    if (key === 'sde.Linear.Heun.None') expect([...expected].every(Number.isNaN)).toBe(true)
    else expect(relativeError(latents, expected)).toBeLessThan(1e-5)
  })
})

test('a network with the opposite direction of time is evaluated at 1 − t and its velocity negated', async () => {
  const at = async (time: NativeFlowConfig['time'], t: number) => {
    const { velocity } = await native().flowField(
      ...([generator, flowConfig({ time }), diffusionConfig(), get('z'), get('y'), t] as const)
    )
    return floats(velocity)
  }
  const mirrored = await at('data_at_0', 0.3)
  expect(
    absoluteError(
      mirrored.map((value) => -value),
      await at('data_at_1', 0.7)
    )
  ).toBeLessThan(1e-6)
})
