import { describe, expect, test } from '@jest/globals'
import type { NativeFlowBatch, NativeFlowTrainerConfig, NativeState } from '../../lib/native/addon.js'
import { flowConfig, generatorConfig, labels } from '../support/generator.js'
import { device, native, readState } from '../support/native.js'
import type { TestingFlowTrainer } from '../support/testing-addon.js'

const config = (changes: Partial<NativeFlowTrainerConfig> = {}): NativeFlowTrainerConfig => ({
  seed: 3,
  precision: 'fp32',
  graphs: false,
  flow: flowConfig(),
  loss: { weighting: 'none', direction: 0 },
  timesteps: { kind: 'uniform', mean: 0, deviation: 1, shift: 1 },
  labelDropout: 0.1,
  optimizer: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, clipNorm: 1 },
  ema: { decay: 0.999, warmup: true },
  ...changes
})

async function create(
  changes: Partial<NativeFlowTrainerConfig> = {},
  model = generatorConfig()
): Promise<TestingFlowTrainer> {
  const make = () => native().createGenerator(model, device, 17)
  return native().createFlowTrainer(await make(), await make(), config(changes))
}

const batch = (seed: number, count: number): NativeFlowBatch => ({
  latents: native().tensor(native().normal(seed, 'test/latents', 0, 0, count, 96), 'float32', [count, 12, 8], device),
  labels: labels(Array.from({ length: count }, (_, i) => i % 10))
})

const slice = ({ latents, labels }: NativeFlowBatch, start: number, end: number): NativeFlowBatch => ({
  latents: latents.slice(start, end),
  labels: labels.slice(start, end)
})

const run = async (trainer: TestingFlowTrainer, from: number, to: number, parts: NativeFlowBatch[]) => {
  for (let step = from; step < to; step++) await trainer.step(parts, { step, lr: 1e-3 })
}

const everything = async (trainer: TestingFlowTrainer) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(trainer.state()).map(async ([group, state]) => [group, await readState(state)] as const)
    )
  )

async function copies(trainer: TestingFlowTrainer): Promise<Record<string, NativeState>> {
  const groups = Object.entries(trainer.state()).map(async ([group, state]) => {
    const entries = Object.entries(state).map(async ([name, value]) => {
      const copy = native().tensor(new Uint8Array(await value.read()), value.dtype, value.shape, device)
      return [name, copy] as const
    })
    return [group, Object.fromEntries(await Promise.all(entries))] as const
  })
  return Object.fromEntries(await Promise.all(groups))
}

const distance = async (one: NativeState, other: NativeState) => {
  const [left, right] = [await readState(one), await readState(other)]
  let [difference, scale] = [0, 0]
  for (const [name, values] of Object.entries(right)) {
    values.forEach((value, i) => {
      difference = Math.max(difference, Math.abs(value - (left[name]?.[i] as number)))
      scale = Math.max(scale, Math.abs(value))
    })
  }
  return difference / scale
}

describe('a flow step', () => {
  test.each([
    ['linear', 'velocity', 1],
    ['gvp', 'noise', 0],
    ['vp', 'score', 0]
  ] as const)('accumulates the gradients of one big batch (%s, %s)', async (path, prediction, direction) => {
    const whole = batch(1, 8)
    const trainer = await create({ flow: flowConfig({ path, prediction }), loss: { weighting: 'velocity', direction } })
    await run(trainer, 0, 2, [whole])
    const expected = await trainer.gradients([whole], 5)
    const parts = [slice(whole, 0, 3), slice(whole, 3, 4), slice(whole, 4, 8)]
    expect(await distance(await trainer.gradients(parts, 5), expected)).toBeLessThan(1e-5)
  })

  test.each([
    ['fp32', {}, generatorConfig()],
    ['bf16', { precision: 'bf16' }, generatorConfig()],
    ['checkpointing', {}, generatorConfig({ checkpointing: true })],
    [
      'lightning-dit',
      { timesteps: { kind: 'lognormal', mean: 0, deviation: 1, shift: 1 } },
      generatorConfig({ model: 'lightning-dit', qkNorm: true })
    ]
  ] as [string, Partial<NativeFlowTrainerConfig>, ReturnType<typeof generatorConfig>][])(
    'resumes bit-exactly (%s)',
    async (_, changes, model) => {
      const data = batch(2, 4)
      const whole = await create(changes, model)
      await run(whole, 0, 6, [data])
      const first = await create(changes, model)
      await run(first, 0, 3, [data])
      const saved = await copies(first)
      const second = await create(changes, model)
      await run(second, 0, 1, [batch(9, 4)]) // another state, which load replaces
      await second.load(saved)
      await run(second, 3, 6, [data])
      expect(await everything(second)).toEqual(await everything(whole))
    }
  )

  test('lowers the loss below that of predicting zero', async () => {
    const trainer = await create()
    const data = batch(4, 16)
    await run(trainer, 0, 1, [data])
    const before = (await trainer.metrics()).total as number
    // A fresh network predicts 0, so the loss is E|x − ε|² = 2 for normal latents.
    expect(Math.abs(before - 2)).toBeLessThan(0.2)
    await run(trainer, 1, 120, [data])
    await trainer.metrics()
    await run(trainer, 120, 130, [data])
    const metrics = await trainer.metrics()
    expect(metrics).toMatchObject({ steps: 10, skipped: 0 })
    expect(metrics.total).toBeLessThan(before * 0.9)
  })

  test('never trains the fixed positions, and averages the weights', async () => {
    const trainer = await create()
    const { model: before } = await everything(trainer)
    await run(trainer, 0, 3, [batch(5, 4)])
    const { model, ema } = await everything(trainer)
    expect(model?.pos_embed).toEqual(before?.pos_embed)
    expect(ema?.pos_embed).toEqual(before?.pos_embed)
    expect(model?.['x_embedder.weight']).not.toEqual(before?.['x_embedder.weight'])
    expect(ema?.['x_embedder.weight']).not.toEqual(model?.['x_embedder.weight'])
  })

  test('skips and counts steps with latents that are not finite', async () => {
    const trainer = await create()
    await run(trainer, 0, 2, [batch(6, 4)])
    await trainer.metrics()
    const before = await everything(trainer)
    const broken = native().tensor(new Float32Array(2 * 96).fill(Number.NaN), 'float32', [2, 12, 8], device)
    const part = { latents: broken, labels: labels([0, 1]) }
    await trainer.step([part], { step: 2, lr: 1e-3 })
    await trainer.step([batch(6, 4), part], { step: 3, lr: 1e-3 })
    expect(await everything(trainer)).toEqual(before)
    const metrics = await trainer.metrics()
    expect(metrics).toMatchObject({
      skipped: 2,
      skippedInARow: 2,
      steps: 2,
      'nonFinite.flow': 2,
      'nonFinite.gradNorm': 2
    })
    expect(Number.isFinite(metrics.flow)).toBe(true)
    await run(trainer, 4, 5, [batch(6, 4)])
    expect(await trainer.metrics()).toMatchObject({ skipped: 0, skippedInARow: 0 })
  })
})
