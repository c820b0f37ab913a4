import { describe, expect, test } from '@jest/globals'
import type { NativeGeneratorConfig } from '../../lib/native/addon.js'
import {
  diffusionConfig,
  flowConfig,
  generatorConfig,
  goldenGenerator,
  labels,
  sample,
  unguided
} from '../support/generator.js'
import { Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'

// Outputs of the original implementations at tiny size: willisma/SiT, hustvl/LightningDiT and continuous_tokenizer's 1-D SiT.
const networks: [string, Partial<NativeGeneratorConfig>][] = [
  ['sit_1d', { latentShape: [12, 8] }],
  ['sit_2d', { latentShape: [4, 8, 8], patchSize: 2 }],
  ['sit_2d_learn_sigma', { latentShape: [4, 8, 8], patchSize: 2, learnSigma: true }],
  ['lightning_dit_2d', { model: 'lightning-dit', latentShape: [8, 8, 8] }],
  ['lightning_dit_2d_qknorm', { model: 'lightning-dit', latentShape: [8, 8, 8], qkNorm: true }],
  ['lightning_dit_2d_wo_shift', { model: 'lightning-dit', latentShape: [8, 8, 8], qkNorm: true, shift: false }]
]

describe.each(networks)('%s', (name, config) => {
  const golden = new Golden(name)

  test('agrees with the original', async () => {
    const generator = await goldenGenerator(golden, config)
    const [x, t, y] = ['x', 't', 'y'].map((key) => tensor(golden.get(key))) as [never, never, never]
    const output = await floats(await generator.predict(x, t, y, 'fp32'))
    expect(relativeError(output, golden.floats('output'))).toBeLessThan(1e-5)
  })

  test("has the original's fixed positions", async () => {
    const generator = await native().createGenerator({ ...base, ...config }, device, 0)
    const positions = await floats(generator.state().pos_embed as never)
    expect(relativeError(positions, golden.floats('w.pos_embed'))).toBeLessThan(1e-6)
  })

  test('gives the same gradients with checkpointing', async () => {
    const gradients = async (checkpointing: boolean) => {
      const generator = await goldenGenerator(golden, { ...config, checkpointing })
      const ema = await native().createGenerator({ ...base, ...config }, device, 0)
      const trainer = await native().createFlowTrainer(generator, ema, training)
      const found = await trainer.gradients([{ latents: tensor(golden.get('x')), labels: tensor(golden.get('y')) }], 0)
      return Promise.all(Object.entries(found).map(async ([key, value]) => [key, await floats(value)] as const))
    }
    const [kept, recomputed] = [await gradients(false), Object.fromEntries(await gradients(true))]
    for (const [key, value] of kept) {
      expect(value.some((x) => x !== 0)).toBe(true)
      expect([key, relativeError(recomputed[key] as Float32Array, value) < 1e-5]).toEqual([key, true])
    }
  })
})

const base = generatorConfig()

const training = {
  seed: 1,
  precision: 'fp32' as const,
  graphs: false,
  flow: flowConfig(),
  loss: { weighting: 'none' as const, direction: 1 },
  timesteps: { kind: 'uniform' as const, mean: 0, deviation: 1, shift: 1 },
  labelDropout: 0.5,
  optimizer: { betas: [0.9, 0.95] as [number, number], eps: 1e-8, weightDecay: 0, clipNorm: 1 },
  ema: { decay: 0.999, warmup: true }
}

const guided = networks.filter(([name]) => new Golden(name).tensors.has('cfg_output'))

test.each(guided)('%s: guidance of the first three channels agrees with the original', async (name, config) => {
  const golden = new Golden(name)
  const generator = await goldenGenerator(golden, config)
  const [x, t] = [golden.get('cfg_x'), golden.get('cfg_t')]
  const size = x.data.length / 2
  const start = native().tensor((x.data as Float32Array).slice(0, size), 'float32', [1, ...x.shape.slice(1)], device)
  // One Euler step of the whole way from a latent is latent + velocity; its time is 0, the golden's is another.
  const field = await native().flowField(
    generator,
    flowConfig(),
    diffusionConfig(),
    start,
    labels([Number(golden.get('cfg_y').data[0])]),
    Number(t.data[0])
  )
  const none = await native().flowField(
    generator,
    flowConfig(),
    diffusionConfig(),
    start,
    labels([10]),
    Number(t.data[0])
  )
  const [conditional, unconditional] = [await floats(field.velocity), await floats(none.velocity)]
  const channel = size / (x.shape[1] as number)
  const expected = golden.floats('cfg_output').slice(0, size)
  const combined = conditional.map((value, i) =>
    i < 3 * channel ? (unconditional[i] as number) + 2.5 * (value - (unconditional[i] as number)) : value
  )
  expect(relativeError(combined, expected)).toBeLessThan(1e-5)

  const reach = async (guidance: object) => {
    const { latents, progress } = await sample(generator, labels([Number(golden.get('cfg_y').data[0])]), {
      config: { steps: 1 },
      guidance,
      start
    })
    return { latents, progress }
  }
  const [three, all, off] = [
    await reach({ scale: 2.5, channels: 3 }),
    await reach({ scale: 2.5 }),
    await reach({ ...unguided })
  ]
  const change = (from: Float32Array, to: Float32Array, begin: number, end: number) =>
    relativeError(from.slice(begin, end), to.slice(begin, end))
  expect(change(three.latents, all.latents, 0, 3 * channel)).toBeLessThan(1e-6)
  expect(change(three.latents, off.latents, 3 * channel, size)).toBeLessThan(1e-6)
  expect(change(all.latents, off.latents, 3 * channel, size)).toBeGreaterThan(1e-3)
  expect([three, off].map(({ progress }) => progress.guiding)).toEqual([1, 0])
})

test('a fresh network predicts zero: gates and the last layer start there', async () => {
  for (const model of ['sit', 'lightning-dit'] as const) {
    const generator = await native().createGenerator({ ...base, model }, device, 3)
    const latents = native().tensor(native().normal(0, 'x', 0, 0, 2, 96), 'float32', [2, 12, 8], device)
    const time = native().tensor(Float32Array.of(0.1, 0.9), 'float32', [2], device)
    expect([...(await floats(await generator.predict(latents, time, labels([1, 2]), 'fp32')))]).toEqual(
      new Array(192).fill(0)
    )
  }
})
