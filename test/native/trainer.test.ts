import { describe, expect, test } from '@jest/globals'
import type { NativeProfile, NativeState, NativeTensor } from '../../lib/native/addon.js'
import { type Profile, readProfile, type Span } from '../../lib/profile/profile.js'
import { Golden } from '../support/golden.js'
import {
  type Changes,
  device,
  floats,
  native,
  randomImages,
  readState,
  tokenizerConfig,
  trainerConfig
} from '../support/native.js'
import type { TestingTokenizerTrainer } from '../support/testing-addon.js'
import { goldenTeacher, goldenTrainer } from '../support/training.js'

type Config = Changes<ReturnType<typeof trainerConfig>>

async function create(
  config: Config = {},
  model: Parameters<typeof tokenizerConfig>[0] = {}
): Promise<TestingTokenizerTrainer> {
  const tokenizer = await native().createTokenizer(tokenizerConfig(model), device, 21)
  return native().createTokenizerTrainer(tokenizer, await goldenTeacher(), trainerConfig(config))
}

const options = (step: number) => ({ step, lr: 2e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0.3 } })
const run = async (trainer: TestingTokenizerTrainer, from: number, to: number, images: NativeTensor) => {
  for (let step = from; step < to; step++) await trainer.step([images], options(step))
}
const everything = async (trainer: TestingTokenizerTrainer) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(trainer.state()).map(async ([group, state]) => [group, await readState(state)] as const)
    )
  )

/** The largest difference as a part of the largest value in the whole state. */
async function distance(one: NativeState, other: NativeState) {
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

/** What makes the host wait for a CUDA device: numbers and shapes that depend on values. */
const waits = /^aten::(item|_local_scalar_dense|is_nonzero|nonzero|masked_select|equal|unique|_unique2)$/

/** Those of steps 1 to 3, but for what the fused AdamW of CPUs reads: CUDA's leaves it on the device. */
function waitsIn(recording: NativeProfile): string[] {
  const { spans } = readProfile(recording, 1, 3) as Profile
  const fused = spans.filter(({ name }) => name === 'aten::_fused_adamw_')
  const within = ({ thread, begin, end }: Span) =>
    fused.some((other) => other.thread === thread && other.begin <= begin && end <= other.end)
  return spans.filter((span) => waits.test(span.name) && !within(span)).map(({ name }) => name)
}

describe('a training step', () => {
  test('reads no value from the device until metrics are read', async () => {
    const images = randomImages(5, 4, 16)
    const trainer = await create({ precision: 'bf16' })
    await trainer.step([images], options(0))
    const recorded = async (work: () => Promise<unknown>) => {
      await native().startProfile(device)
      await work()
      return native().stopProfile(device)
    }
    expect(waitsIn(await recorded(() => run(trainer, 1, 4, images)))).toEqual([])
    expect((await recorded(() => trainer.metrics())).names).toContain('aten::_local_scalar_dense')
  })

  test('takes effect at once in bf16 encoding, which caches cast weights between calls', async () => {
    const images = randomImages(5, 4, 16)
    const tokenizer = await native().createTokenizer(tokenizerConfig(), device, 21)
    const trainer = await native().createTokenizerTrainer(tokenizer, await goldenTeacher(), trainerConfig())
    const encoded = async (network: typeof tokenizer) => floats((await network.posterior(images, 'bf16')).mean)
    for (let step = 0; step < 2; step++) {
      const before = await encoded(tokenizer)
      await trainer.step([images], options(step))
      const fresh = await native().createTokenizer(tokenizerConfig(), device, 22)
      await fresh.load(trainer.state().model as NativeState)
      expect(await encoded(tokenizer)).toEqual(await encoded(fresh))
      expect(await encoded(tokenizer)).not.toEqual(before)
      await fresh.load(trainer.state().ema as NativeState)
      expect(await encoded(trainer.ema)).toEqual(await encoded(fresh))
    }
  })

  test.each([
    ['two micro-batches', [0, 4, 8]],
    ['four micro-batches', [0, 2, 4, 6, 8]],
    ['micro-batches of unequal size', [0, 1, 6, 8]]
  ])('accumulates the gradients of one big batch over %s', async (_, cuts) => {
    const images = randomImages(5, 8, 16)
    const parts = cuts.slice(1).map((end, i) => images.slice(cuts[i] as number, end))
    const trainer = await create()
    const whole = await trainer.gradients([images], options(3))
    expect(await distance(await trainer.gradients(parts, options(3)), whole)).toBeLessThan(1e-6)
  })

  test('accumulates in bf16 as well', async () => {
    const images = randomImages(5, 8, 16)
    const trainer = await create({ precision: 'bf16' })
    const whole = await trainer.gradients([images], options(3))
    const parts = [images.slice(0, 4), images.slice(4, 8)]
    // Products of bfloat16 have 8 bits; sums of two halves round once more.
    expect(await distance(await trainer.gradients(parts, options(3)), whole)).toBeLessThan(1e-2)
  })

  test('in bf16 with checkpointing has the gradients of bf16 without', async () => {
    const images = randomImages(5, 8, 16)
    const kept = await (await create({ precision: 'bf16' })).gradients([images], options(3))
    const recomputed = await (await create({ precision: 'bf16' }, { checkpointing: true })).gradients(
      [images],
      options(3)
    )
    expect(await distance(recomputed, kept)).toBeLessThan(1e-6)
  })

  test('in bf16 stays close to fp32', async () => {
    const images = randomImages(5, 8, 16)
    const exact = await (await create()).gradients([images], options(3))
    const half = await (await create({ precision: 'bf16' })).gradients([images], options(3))
    // bfloat16 has a relative step of 2^-8; a few roundings along the way.
    expect(await distance(half, exact)).toBeLessThan(3e-2)
  })

  test('in bf16 keeps weights in fp32', async () => {
    const trainer = await create({ precision: 'bf16' })
    await run(trainer, 0, 2, randomImages(5, 4, 16))
    for (const group of Object.values(trainer.state())) {
      for (const tensor of Object.values(group)) expect(['float32', 'float64']).toContain(tensor.dtype)
    }
  })

  test('gradients() changes nothing', async () => {
    const trainer = await create()
    await run(trainer, 0, 2, randomImages(5, 4, 16))
    const before = await everything(trainer)
    await trainer.gradients([randomImages(6, 4, 16)], options(2))
    expect(await everything(trainer)).toEqual(before)
    expect((await trainer.metrics()).steps).toBe(2)
  })

  test('learns: the loss on one batch falls', async () => {
    const trainer = await create()
    const images = randomImages(5, 4, 16)
    await run(trainer, 0, 5, images)
    const early = await trainer.metrics()
    await run(trainer, 5, 60, images)
    await trainer.metrics()
    await run(trainer, 60, 65, images)
    const late = await trainer.metrics()
    expect(late.total).toBeLessThan(early.total as number)
    expect(late.psnr).toBeGreaterThan((early.psnr as number) + 0.5)
  })

  test('metrics are means since the last call', async () => {
    const images = randomImages(5, 4, 16)
    const one = await create()
    const totals: number[] = []
    for (let step = 0; step < 4; step++) {
      await one.step([images], options(step))
      totals.push((await one.metrics()).total as number)
    }
    const two = await create()
    await run(two, 0, 4, images)
    const metrics = await two.metrics()
    expect(metrics.steps).toBe(4)
    expect(metrics.skipped).toBe(0)
    expect(metrics.total).toBeCloseTo(totals.reduce((a, b) => a + b) / 4, 6)
  })

  test('with a non-finite gradient is skipped and counted, and changes no weight, average or moment', async () => {
    const trainer = await create()
    await run(trainer, 0, 2, randomImages(5, 4, 16))
    await trainer.metrics()
    const before = await everything(trainer)
    const broken = native().tensor(new Float32Array(2 * 3 * 256).fill(Number.NaN), 'float32', [2, 3, 16, 16], device)
    await trainer.step([broken], options(2))
    expect((await trainer.metrics()).skipped).toBe(1)
    expect(await everything(trainer)).toEqual(before)
    await run(trainer, 3, 4, randomImages(5, 4, 16))
    expect(Number.isFinite((await trainer.metrics()).total)).toBe(true)
  })
})

describe('resuming', () => {
  test.each<[string, Config]>([
    ['fp32', {}],
    ['bf16', { precision: 'bf16' }]
  ])('equals an uninterrupted run bit for bit (%s)', async (_, config) => {
    const images = randomImages(8, 4, 16)
    const whole = await create(config)
    await run(whole, 0, 8, images)

    const first = await create(config)
    await run(first, 0, 4, images)
    const saved = first.state()
    const copies = Object.fromEntries(
      await Promise.all(
        Object.entries(saved).map(async ([group, state]) => {
          const entries = Object.entries(state).map(async ([name, tensor]) => {
            const copy = native().tensor(new Uint8Array(await tensor.read()), tensor.dtype, tensor.shape, device)
            return [name, copy] as const
          })
          return [group, Object.fromEntries(await Promise.all(entries)) as NativeState] as const
        })
      )
    )
    await run(first, 4, 6, images) // the copies are no views

    const second = await create({ ...config })
    await run(second, 0, 1, randomImages(9, 4, 16)) // another state, which load replaces
    await second.load(copies)
    await run(second, 4, 8, images)
    expect(await everything(second)).toEqual(await everything(whole))
  })

  test('the same seed gives the same run, another seed a different one', async () => {
    const images = randomImages(8, 4, 16)
    const [one, same, other] = [await create(), await create(), await create({ seed: 78 })]
    for (const trainer of [one, same, other]) await run(trainer, 0, 3, images)
    expect(await everything(same)).toEqual(await everything(one))
    expect(await distance(other.state().model as NativeState, one.state().model as NativeState)).toBeGreaterThan(1e-4)
  })
})

test('the moving average starts at the weights and is what the ema tokenizer encodes with', async () => {
  const { trainer, images } = await goldenTrainer(new Golden('optimizer'))
  await run(trainer, 0, 10, images)
  const encoding = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
  const raw = await floats(await trainer.tokenizer.encode(images, null, encoding))
  const ema = await floats(await trainer.ema.encode(images, null, encoding))
  expect(ema).not.toEqual(raw)
  const copy = await native().createTokenizer(tokenizerConfig(), device, 0)
  await copy.load(trainer.state().ema as NativeState)
  expect(await floats(await copy.encode(images, null, encoding))).toEqual(ema)
})
