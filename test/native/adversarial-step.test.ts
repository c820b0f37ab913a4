import { describe, expect, test } from '@jest/globals'
import type { NativeState, NativeTensor } from '../../lib/native/addon.js'
import { adversarialTrainer, full, perceptual, plain } from '../support/adversary.js'
import { relativeError } from '../support/golden.js'
import { device, floats, native, randomImages, readState, tokenizerConfig, trainerConfig } from '../support/native.js'
import type { TestingTokenizerTrainer } from '../support/testing-addon.js'

const weights = { reconstruction: 1, kl: 1e-4, alignment: 0.3, adversarial: 0.2 }
const options = (step: number, changes: Partial<typeof weights> = {}) => ({
  step,
  lr: 2e-3,
  weights: { ...weights, ...changes }
})
const everything = async (trainer: TestingTokenizerTrainer) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(trainer.state()).map(async ([group, state]) => [group, await readState(state)] as const)
    )
  )
const copy = async (trainer: TestingTokenizerTrainer): Promise<Record<string, NativeState>> => {
  const groups: Record<string, NativeState> = {}
  for (const [group, state] of Object.entries(trainer.state())) {
    groups[group] = {}
    for (const [name, tensor] of Object.entries(state)) {
      groups[group][name] = native().tensor(new Uint8Array(await tensor.read()), tensor.dtype, tensor.shape, device)
    }
  }
  return groups
}

/** Reconstructions are a function of the weights alone: no masks, no ε; gradients are not clipped. */
const bare = {
  masking: { target: 'none', semantic: 0 },
  alignment: { local: false, global: false },
  optimizer: { clipNorm: 0 }
} as const
const autoencoder = { bottleneck: 'ae' } as const

describe('before the discriminator starts', () => {
  test('computes nothing of it', async () => {
    const { trainer, discriminator } = await adversarialTrainer(full)
    const before = await readState(discriminator.state())
    await trainer.step([randomImages(5, 4, 16)], options(0, { adversarial: 0 }))
    const metrics = await trainer.metrics()
    expect(metrics.discriminatorCalls).toBe(0)
    expect(metrics.adversarial).toBeUndefined()
    expect(await readState(discriminator.state())).toEqual(before)
  })

  test('trains the tokenizer as without one', async () => {
    const images = randomImages(5, 4, 16)
    const { trainer } = await adversarialTrainer(full)
    const alone = (await adversarialTrainer(full)).trainer
    await trainer.step([images], options(0, { adversarial: 0 }))
    const { reconstruction, kl, alignment } = weights
    await alone.step([images], { step: 0, lr: 2e-3, weights: { reconstruction, kl, alignment } })
    expect(await everything(trainer)).toEqual(await everything(alone))
  })
})

describe('an adversarial step', () => {
  test.each([
    ['without consistency', plain, 3],
    ['with consistency', full, 5]
  ])('calls the heads once a group (%s)', async (_, config, calls) => {
    const { trainer } = await adversarialTrainer(config)
    await trainer.step([randomImages(5, 4, 16)], options(0))
    const metrics = await trainer.metrics()
    expect(metrics.discriminatorCalls).toBe(calls)
    for (const name of ['adversarial', 'discriminator', 'logitsReal', 'logitsFake', 'discriminatorGradNorm']) {
      expect([name, Number.isFinite(metrics[name])]).toEqual([name, true])
    }
    expect(metrics.accuracyReal).toBeGreaterThanOrEqual(0)
    expect(metrics.accuracyReal).toBeLessThanOrEqual(1)
    await trainer.step([randomImages(5, 4, 16)], options(1, { adversarial: 0 }))
    expect((await trainer.metrics()).discriminatorCalls).toBe(0)
  })

  test("gives the discriminator the gradients of its own loss on the generator's images, and no others", async () => {
    const { trainer } = await adversarialTrainer(plain, bare, autoencoder)
    const images = randomImages(5, 4, 16)
    // The same discriminator by itself, on the reconstructions before the step.
    const other = await adversarialTrainer(plain, bare, autoencoder)
    const encoding = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
    const latents = await other.trainer.tokenizer.encode(images, null, encoding)
    const fake = await other.trainer.tokenizer.decode(latents, 'fp32')
    const noCrop = { coin: 1, top: 0, left: 0 }
    await other.discriminator.generatorPass(fake, 'hinge', noCrop)
    const gradients = await other.discriminator.discriminatorPass(images, fake, 'hinge', noCrop)

    await trainer.step([images], options(0))
    const state = await readState(trainer.state().discriminator_optimizer as NativeState)
    for (const [name, gradient] of Object.entries(gradients)) {
      if (!name.startsWith('gradient.')) continue
      // Adam's first moment after one step is 0.1 times the gradient; the loss is weighted by 0.2.
      const expected = (await floats(gradient)).map((value) => 0.1 * 0.2 * value)
      const actual = state[`exp_avg.${name.replace('gradient.', '')}`] as Float32Array
      // A convolution's bias before a batch norm has no effect: its gradient is rounding noise.
      const noise = Math.max(...expected.map(Math.abs)) < 1e-8
      expect([name, noise ? 0 : relativeError(actual, expected)]).toEqual([name, expect.closeTo(0, 3)])
    }
  })

  test("gives the generator the gradients of its own loss, and none of the discriminator's step", async () => {
    const images = randomImages(5, 4, 16)
    const { trainer } = await adversarialTrainer(full, { optimizer: { clipNorm: 0 } })
    const expected = await readState(await trainer.gradients([images], options(0)))
    await trainer.step([images], options(0))
    const { optimizer } = await everything(trainer)
    for (const [name, gradient] of Object.entries(expected)) {
      const moment = optimizer?.[`exp_avg.${name}`] as Float32Array
      expect([
        name,
        relativeError(
          moment,
          gradient.map((value) => 0.1 * value)
        )
      ]).toEqual([name, expect.closeTo(0, 5)])
    }
  })

  test('gradients() do not change the discriminator', async () => {
    const { trainer } = await adversarialTrainer(full)
    await trainer.step([randomImages(5, 4, 16)], options(0))
    const before = await everything(trainer)
    await trainer.gradients([randomImages(5, 4, 16)], options(1))
    expect(await everything(trainer)).toEqual(before)
  })

  test("the adaptive weight is the ratio of the terms' gradients at the last layer", async () => {
    const images = randomImages(5, 4, 16)
    const norm = async (trainer: TestingTokenizerTrainer, changes: Partial<typeof weights>) => {
      const none = { reconstruction: 0, kl: 0, alignment: 0, adversarial: 0 }
      const gradients = await trainer.gradients([images], options(0, { ...none, ...changes }))
      return Math.hypot(...(await floats(gradients['to_pixels.weight'] as NativeTensor)))
    }
    const reference = (await adversarialTrainer(plain, bare, autoencoder)).trainer
    const [others, adversarial] = [
      await norm(reference, { reconstruction: 1 }),
      await norm(reference, { adversarial: 1 })
    ]
    const { trainer } = await adversarialTrainer({ ...plain, adaptive: true }, bare, autoencoder)
    await trainer.step([images], options(0))
    const { adaptiveWeight } = await trainer.metrics()
    expect(adaptiveWeight).toBeCloseTo(others / (adversarial + 1e-4), 3)
  })

  test('accumulates over micro-batches', async () => {
    const images = randomImages(5, 8, 16)
    const { trainer } = await adversarialTrainer(full)
    await trainer.step([images.slice(0, 4), images.slice(4, 8)], options(0))
    const metrics = await trainer.metrics()
    expect(metrics.discriminatorCalls).toBe(10)
    expect([metrics.skipped, metrics.discriminatorSkipped]).toEqual([0, 0])
    const { discriminator } = await everything(trainer)
    // One update of LeCAM with the mean over both: (1 − .999) · mean.
    const [average] = discriminator?.['lecam.real'] ?? []
    expect(average).toBeCloseTo(0.001 * (metrics.logitsReal as number), 6)
  })

  test('resumes bit-exactly, with discriminator, its optimiser and LeCAM', async () => {
    const images = randomImages(8, 4, 16)
    const run = async (trainer: TestingTokenizerTrainer, from: number, to: number) => {
      for (let step = from; step < to; step++) await trainer.step([images], options(step))
    }
    const whole = (await adversarialTrainer(full)).trainer
    await run(whole, 0, 6)
    const first = (await adversarialTrainer(full)).trainer
    await run(first, 0, 3)
    const saved = await copy(first)
    const second = (await adversarialTrainer(full)).trainer
    await run(second, 0, 1)
    await second.load(saved)
    await run(second, 3, 6)
    expect(await everything(second)).toEqual(await everything(whole))
  })

  test('with a non-finite loss changes nothing and names the terms', async () => {
    const { trainer } = await adversarialTrainer(full)
    await trainer.step([randomImages(5, 4, 16)], options(0))
    await trainer.metrics()
    const before = await everything(trainer)
    const broken = native().tensor(new Float32Array(2 * 3 * 256).fill(Number.NaN), 'float32', [2, 3, 16, 16], device)
    for (const step of [1, 2]) await trainer.step([broken], options(step))
    const metrics = await trainer.metrics()
    expect(metrics).toMatchObject({ skipped: 2, discriminatorSkipped: 2, skippedInARow: 2 })
    expect(metrics['nonFinite.reconstruction']).toBe(2)
    expect(metrics['nonFinite.gradNorm']).toBe(2)
    expect(await everything(trainer)).toEqual(before)
    await trainer.step([randomImages(5, 4, 16)], options(3))
    expect(await trainer.metrics()).toMatchObject({ skipped: 0, skippedInARow: 0 })
  })
})

// A weight at the end of float32 overflows in one gradient while the networks, and with them the other loss, stay finite.
test.each<[string, typeof full, Partial<typeof weights>]>([
  ['the generator', full, { reconstruction: 3e38 }],
  ['the discriminator', { ...full, consistency: 1e300 }, {}]
])('a step in which only the loss of %s is not finite changes nothing', async (_, config, changes) => {
  const { trainer } = await adversarialTrainer(config)
  const before = await everything(trainer)
  await trainer.step([randomImages(5, 4, 16)], options(0, changes))
  expect(await everything(trainer)).toEqual(before)
  expect(await trainer.metrics()).toMatchObject({ skipped: 1, discriminatorSkipped: 1, skippedInARow: 1 })
})

test('the perceptual term adds its gradients and is not computed at weight 0', async () => {
  const tokenizer = await native().createTokenizer(tokenizerConfig(autoencoder), device, 21)
  const trainer = await native().createTokenizerTrainer(tokenizer, null, trainerConfig(bare), {
    perceptual: await perceptual()
  })
  const images = randomImages(5, 2, 16)
  const gradients = async (reconstruction: number, term: number) => {
    const all = { reconstruction, kl: 0, alignment: 0, perceptual: term }
    return floats(
      (await trainer.gradients([images], { step: 0, lr: 0, weights: all }))['to_pixels.weight'] as NativeTensor
    )
  }
  const [both, one, other] = [await gradients(1, 0.5), await gradients(1, 0), await gradients(0, 0.5)]
  expect(Math.max(...other.map(Math.abs))).toBeGreaterThan(0)
  expect(
    relativeError(
      both,
      one.map((value, i) => value + (other[i] as number))
    )
  ).toBeLessThan(1e-5)
  await trainer.step([images], { step: 0, lr: 0, weights: { reconstruction: 1, kl: 0, alignment: 0 } })
  expect((await trainer.metrics()).perceptual).toBeUndefined()
})

test('decoder fine-tuning changes neither encoder nor posterior, nor their averages', async () => {
  const decoderOnly = { ...bare, decoderOnly: true }
  const { trainer } = await adversarialTrainer(full, decoderOnly)
  const before = await everything(trainer)
  for (let step = 0; step < 3; step++) await trainer.step([randomImages(5, 4, 16)], options(step, { kl: 0 }))
  const after = await everything(trainer)
  for (const group of ['model', 'ema']) {
    for (const [name, values] of Object.entries(before[group] ?? {})) {
      const frozen = /^(encoder|to_posterior)\./.test(name)
      if (frozen) expect([name, after[group]?.[name]]).toEqual([name, values])
    }
    expect(after[group]?.['decoder.blocks.0.mlp.fc1.weight']).not.toEqual(
      before[group]?.['decoder.blocks.0.mlp.fc1.weight']
    )
    expect(after[group]?.['from_latents.weight']).not.toEqual(before[group]?.['from_latents.weight'])
  }
  expect(Object.keys(after.optimizer ?? {}).some((name) => name.includes('encoder.'))).toBe(false)
})
