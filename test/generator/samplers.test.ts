import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeSamplerConfig } from '../../lib/native/addon.js'
import {
  diffusionConfig,
  flowConfig,
  generatorConfig,
  goldenMixture,
  labels,
  sample,
  samplerConfig,
  unguided
} from '../support/generator.js'
import { absoluteError, Golden } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'
import type { TestingGenerator } from '../support/testing-addon.js'

// Three Gaussians in the plane, whose velocity is known; their end points and evaluations are torchdiffeq's.
const golden = new Golden('mixture')
const everything = (count: number) => labels(new Array(count).fill(3))

let mixture: TestingGenerator

const { threads } = native().info()
afterAll(() => native().setThreads(threads))
beforeAll(async () => {
  native().setThreads(1) // many small tensors
  mixture = await goldenMixture(golden)
})

describe('dopri5 with one step size per batch agrees with torchdiffeq', () => {
  test.each(['loose', 'middle', 'tight'])('%s tolerances', async (name) => {
    const [rtol, atol] = golden.floats(`tolerances.${name}`) as unknown as [number, number]
    const { latents, progress } = await sample(mixture, everything(64), {
      config: { method: 'dopri5', rtol, atol },
      start: tensor(golden.get('start'))
    })
    expect(absoluteError(latents, golden.floats(`end.${name}`))).toBeLessThan(1e-4)
    expect(progress.field).toBe(golden.scalar(`evaluations.${name}`))
  })
})

describe('dopri5 with one step size per sample', () => {
  const config = { method: 'dopri5', control: 'sample', rtol: 1e-5, atol: 1e-6 } as const

  test('has errors proportional to the tolerance', async () => {
    const error = async (rtol: number) => {
      const precise = { ...config, rtol, atol: rtol / 10, state: 'float64' } as const
      const { latents } = await sample(mixture, everything(64), {
        config: precise,
        start: tensor(golden.get('start'))
      })
      return absoluteError(latents, golden.floats('exact'))
    }
    // The worst of these samples begin where the flow parts and multiply errors by a hundred.
    expect(await error(1e-6)).toBeLessThan(1e-4)
    expect(await error(1e-4)).toBeGreaterThan(1e-3)
  })

  test('does not evaluate finished samples', async () => {
    const { progress } = await sample(mixture, everything(64), { config, start: tensor(golden.get('start')) })
    expect(progress.samples).toBeLessThan(progress.field * 64)
  })

  test('takes the same steps for a sample alone and in a batch', async () => {
    const start = golden.floats('start')
    const { latents } = await sample(mixture, everything(64), { config, start: tensor(golden.get('start')) })
    const one = native().tensor(start.slice(10, 12), 'float32', [1, 1, 2], device)
    const alone = await sample(mixture, everything(1), { config, start: one })
    expect(absoluteError(alone.latents, latents.slice(10, 12))).toBeLessThan(1e-6)
  })
})

describe('fixed steps converge at their order', () => {
  const orders: [NativeSamplerConfig['method'], number, number][] = [
    ['euler', 1, 1],
    ['heun', 2, 2],
    ['midpoint', 2, 2]
  ]
  test.each(orders)('%s', async (method, order, evaluations) => {
    const error = async (steps: number) => {
      const { latents, progress } = await sample(mixture, everything(64), {
        config: { method, steps, state: 'float64' },
        start: tensor(golden.get('start'))
      })
      expect(progress).toMatchObject({ field: steps * evaluations, time: 1, guiding: 0 })
      const exact = golden.floats('exact')
      return Math.sqrt(latents.reduce((sum, value, i) => sum + (value - (exact[i] as number)) ** 2, 0))
    }
    const measured = Math.log2((await error(40)) / (await error(80)))
    expect(measured).toBeGreaterThan(order - 0.25)
    expect(measured).toBeLessThan(order + 0.5)
  })
})

/** Mean and covariance of the mixture: E[x] and E[xxᵀ] − E[x]E[x]ᵀ with its components' variances. */
function truth(): number[] {
  const [means, deviations, weights] = ['means', 'deviations', 'weights'].map((key) => golden.floats(key)) as [
    Float32Array,
    Float32Array,
    Float32Array
  ]
  const over = (value: (x: number, y: number, variance: number) => number) =>
    weights.reduce(
      (sum, weight, k) =>
        sum + weight * value(means[2 * k] as number, means[2 * k + 1] as number, (deviations[k] as number) ** 2),
      0
    )
  const [x, y] = [over((x) => x), over((_, y) => y)]
  return [
    ...[x, y, over((a, _, v) => a * a + v) - x * x],
    ...[over((a, b) => a * b) - x * y, over((_, b, v) => b * b + v) - y * y]
  ]
}

function moments(latents: Float32Array): number[] {
  const count = latents.length / 2
  const mean = (value: (x: number, y: number) => number) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += value(latents[2 * i] as number, latents[2 * i + 1] as number)
    return sum / count
  }
  const [x, y] = [mean((x) => x), mean((_, y) => y)]
  return [x, y, mean((a) => (a - x) ** 2), mean((a, b) => (a - x) * (b - y)), mean((_, b) => (b - y) ** 2)]
}

const furthest = (latents: Float32Array) => absoluteError(moments(latents), truth())

describe("moments of the samples converge to the mixture's", () => {
  const count = 20_000
  const sampled = async (config: Partial<NativeSamplerConfig>) =>
    furthest((await sample(mixture, everything(count), { config: { seed: 5, ...config } })).latents)

  // The standard error of a second moment of about 2 is 2·√(2/20000) = .02.
  test.each(['euler', 'heun', 'midpoint', 'dopri5'] as const)('%s', async (method) => {
    expect(await sampled({ method, steps: method === 'euler' ? 200 : 50 })).toBeLessThan(0.05)
  })

  const forms = ['constant', 'sbdm', 'sigma', 'linear', 'decreasing', 'increasing-decreasing'] as const
  test.each(forms)('euler-maruyama with %s diffusion', async (form) => {
    // A constant amount of 1 would be too stiff for 250 steps where little noise is left.
    const diffusion = diffusionConfig({ form, norm: form === 'constant' ? 0.25 : 1 })
    expect(await sampled({ method: 'euler-maruyama', steps: 250, diffusion })).toBeLessThan(0.07)
  })

  test('sde-heun without a last step, where a decreasing diffusion does not vanish', async () => {
    const diffusion = diffusionConfig({ form: 'decreasing', norm: 2, lastStep: 'none' })
    expect(await sampled({ method: 'sde-heun', steps: 250, diffusion })).toBeLessThan(0.1)
  })

  test.each(['mean', 'tweedie', 'euler', 'none'] as const)('sde-heun with %s as the last step', async (lastStep) => {
    const diffusion = diffusionConfig({ lastStep })
    expect(await sampled({ method: 'sde-heun', steps: 100, diffusion })).toBeLessThan(0.07)
  })

  test('at first order with euler-maruyama', async () => {
    const diffusion = diffusionConfig({ lastStep: 'none' })
    const error = (steps: number) => sampled({ method: 'euler-maruyama', steps, diffusion })
    const [coarse, fine] = [await error(10), await error(20)]
    expect(coarse / fine).toBeGreaterThan(1.5)
    expect(coarse / fine).toBeLessThan(3)
  })
})

describe('guidance', () => {
  const start = tensor(golden.get('start'))
  const classes = labels(new Array(64).fill(0))

  test('evaluates the unconditional branch only inside its interval, in one call with the conditional one', async () => {
    const { progress } = await sample(mixture, classes, {
      config: { steps: 10 },
      guidance: { scale: 2, low: 0.25, high: 0.65 },
      start
    })
    // Steps begin at 0, .1, …, .9: those at .3, .4, .5 and .6 are guided.
    expect(progress).toMatchObject({ field: 10, samples: 640, guiding: 4 * 64 })
  })

  test('of scale 1 costs nothing', async () => {
    const { progress } = await sample(mixture, classes, { guidance: { scale: 1 }, start })
    expect(progress.guiding).toBe(0)
  })

  test('with one step size per sample counts the samples whose time is inside', async () => {
    const { progress } = await sample(mixture, classes, {
      config: { method: 'dopri5', control: 'sample' },
      guidance: { scale: 2, low: 0.4, high: 0.6 },
      start
    })
    expect(progress.guiding).toBeGreaterThan(0)
    expect(progress.guiding).toBeLessThan(progress.samples)
  })

  test('with one step size per batch applies to the step that passes the end', async () => {
    const { progress } = await sample(mixture, classes, { config: { method: 'dopri5' }, guidance: { scale: 2 }, start })
    expect(progress.guiding).toBe(progress.samples)
  })

  test('extrapolates from the weaker prediction through the better one', async () => {
    const velocity = async (label: number) => {
      const { latents } = await sample(mixture, labels(new Array(64).fill(label)), { config: { steps: 1 }, start })
      return latents
    }
    const [conditional, unconditional] = [await velocity(0), await velocity(3)]
    const { latents } = await sample(mixture, classes, { config: { steps: 1 }, guidance: { scale: 1.5 }, start })
    const expected = conditional.map((value, i) => 1.5 * value - 0.5 * (unconditional[i] as number))
    expect(absoluteError(latents, expected)).toBeLessThan(1e-5)
  })

  test('by a weaker model uses the same class', async () => {
    const weak = await goldenMixture(golden)
    const state = weak.state()
    await weak.load({ ...state, deviations: native().tensor(Float32Array.of(1, 1, 1), 'float32', [3], device) })
    const end = async (model: TestingGenerator, guidance: object) =>
      sample(model, classes, { config: { steps: 1 }, guidance, start })
    const [good, worse] = [(await end(mixture, {})).latents, (await end(weak, {})).latents]
    const { latents, progress } = await end(mixture, { scale: 2, weak })
    expect(
      absoluteError(
        latents,
        good.map((value, i) => 2 * value - (worse[i] as number))
      )
    ).toBeLessThan(1e-5)
    expect(progress.guiding).toBe(64)
  })
})

describe('samples depend on (seed, index) only', () => {
  const generate = async (classes: number[], firstIndex: number, config: Partial<NativeSamplerConfig> = {}) => {
    const generator = await native().createGenerator(generatorConfig(), device, 4)
    const state = generator.state()
    const random = await Promise.all(
      Object.entries(state).map(async ([name, value]) => {
        const size = value.shape.reduce((a, b) => a * b, 1)
        const drawn = native()
          .normal(1, name, 0, 0, 1, size)
          .map((x) => 0.05 * x)
        return [name, native().tensor(drawn, 'float32', value.shape, device)] as const
      })
    )
    await generator.load(Object.fromEntries(random))
    return (await sample(generator, labels(classes), { config: { seed: 9, firstIndex, ...config } })).latents
  }

  test.each([{ method: 'heun' }, { method: 'euler-maruyama' }] as const)(
    '$method: in batches of 6 and of 2',
    async (config) => {
      const together = await generate([0, 1, 2, 3, 4, 5], 0, config)
      const part = await generate([2, 3], 2, config)
      expect(absoluteError(part, together.slice(2 * 96, 4 * 96))).toBeLessThan(1e-4)
      expect(await generate([0, 1, 2, 3, 4, 5], 0, config)).toEqual(together)
      expect(absoluteError(await generate([2, 3], 3, config), part)).toBeGreaterThan(0.1)
    }
  )
})

test('a shift below 1 spends more steps on noise', async () => {
  const sampler = await native().createSampler(
    mixture,
    flowConfig(),
    unguided,
    samplerConfig({ steps: 4, shift: 0.3 }),
    everything(64),
    tensor(golden.get('start')),
    null
  )
  const times = []
  for (let i = 0; i < 4; i++) times.push((await sampler.step()).time)
  // LightningDiT's compute_tm: .3·t / (1 − .7·t) at .25, .5, .75, 1.
  expect(absoluteError(times, [0.075 / 0.825, 0.15 / 0.65, 0.225 / 0.475, 1])).toBeLessThan(1e-9)
})

test('a shift leaves the time from which an SDE takes its last step', async () => {
  const { latents, progress } = await sample(mixture, everything(64), {
    config: { method: 'euler-maruyama', steps: 10, shift: 0.3, diffusion: diffusionConfig({ norm: 1e-9 }) },
    start: tensor(golden.get('start'))
  })
  expect(progress.time).toBe(1)
  // With next to no noise this is Euler's method on the same grid.
  const grid = Array.from({ length: 10 }, (_, i) => (0.96 * 0.3 * (i / 9)) / (1 - 0.7 * (i / 9)))
  expect(grid.at(-1)).toBeCloseTo(0.96, 12)
  const sampler = await native().createSampler(
    mixture,
    flowConfig(),
    unguided,
    samplerConfig({ method: 'euler-maruyama', steps: 10, shift: 0.3, diffusion: diffusionConfig({ norm: 1e-9 }) }),
    everything(64),
    tensor(golden.get('start')),
    null
  )
  const times: number[] = []
  for (let i = 0; i < 10; i++) times.push((await sampler.step()).time)
  expect(absoluteError(times, [...grid.slice(1), 1])).toBeLessThan(1e-9)
  expect(absoluteError(await floats(await sampler.latents()), latents)).toBe(0)
})

test('previews predict clean latents', async () => {
  const { latents } = await sample(mixture, labels([0]), { config: { steps: 50 } })
  const sampler = await native().createSampler(
    mixture,
    flowConfig(),
    unguided,
    samplerConfig({ steps: 50 }),
    labels([0]),
    null,
    null
  )
  await sampler.step()
  const first = await floats(await sampler.preview())
  // From pure noise all that is known of component 0 is its mean.
  expect(absoluteError(first, golden.floats('means').slice(0, 2))).toBeLessThan(1e-5)
  for (let i = 1; i < 50; i++) await sampler.step()
  expect(absoluteError(await floats(await sampler.preview()), latents)).toBeLessThan(0.05)
})
