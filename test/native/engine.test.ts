import { describe, expect, test } from '@jest/globals'
import { native as awaitNative } from '../../lib/native/errors.js'
import { device, floats, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'

const encoding = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
const settle = () => new Promise((resolve) => setTimeout(resolve, 0))

describe('the engine', () => {
  test('does not block the event loop while it computes', async () => {
    const wide = { encoder: vit({ width: 192, depth: 6 }), decoder: vit({ width: 192, depth: 1, cls: false }) }
    const model = await native().createTokenizer(tokenizerConfig({ imageSize: 64, ...wide }), device, 0)
    const images = randomImages(0, 32, 64)
    const encode = async () => {
      let ticks = 0
      let longest = 0
      let last = performance.now()
      const endPause = () => {
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
      const timer = setInterval(() => {
        endPause()
        ticks++
      }, 1)
      const start = performance.now()
      await model.encode(images, null, encoding)
      endPause()
      clearInterval(timer)
      return { ticks, longest, took: last - start }
    }
    let run = await encode()
    // The system may pause this process meanwhile; what blocks the event loop does so each time.
    for (let i = 1; i < 5 && (run.ticks <= 10 || run.longest >= run.took / 2); i++) run = await encode()
    expect(run.took).toBeGreaterThan(50) // else the test shows nothing
    expect(run.ticks).toBeGreaterThan(10)
    expect(run.longest).toBeLessThan(run.took / 2)
  })

  test('runs jobs first in, first out', async () => {
    const model = await native().createTokenizer(tokenizerConfig(), device, 0)
    const images = randomImages(0, 2, 16)
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => model.encode(images, null, encoding).then(() => order.push(i)))
    )
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test('copies its input before the promise is returned', async () => {
    const data = new Float32Array(3 * 256).fill(0.5)
    const handle = native().tensor(data, 'float32', [1, 3, 16, 16], device)
    data.fill(-1)
    structuredClone(data.buffer, { transfer: [data.buffer] })
    expect(new Set(await floats(handle))).toEqual(new Set([0.5]))
  })

  test('returns results that training accepts', async () => {
    const model = await native().createTokenizer(tokenizerConfig(), device, 0)
    const config = trainerConfig({ alignment: { local: false, global: false }, masking: { target: 'none' } })
    const trainer = await native().createTokenizerTrainer(model, null, config)
    const decoded = await model.decode(await model.encode(randomImages(0, 2, 16), null, encoding), 'fp32')
    const options = { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 0, alignment: 0 } }
    await trainer.step([decoded], options)
    expect((await trainer.metrics()).skipped).toBe(0)
  })

  test('runs two trainers at once, each as if alone', async () => {
    const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
    const create = async () =>
      native().createTokenizerTrainer(await native().createTokenizer(tokenizerConfig(), device, 4), null, config)
    const images = randomImages(1, 4, 16)
    const options = (step: number) => ({ step, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-6, alignment: 0 } })
    const alone = await create()
    for (let step = 0; step < 5; step++) await alone.step([images], options(step))
    const expected = await alone.metrics()
    const pair = [await create(), await create()]
    const train = async (trainer: (typeof pair)[number]) => {
      for (let step = 0; step < 5; step++) await trainer.step([images], options(step))
      return trainer.metrics()
    }
    expect(await Promise.all(pair.map(train))).toEqual([expected, expected])
  })

  test('finishes work in flight after the handle of its model is disposed', async () => {
    const model = (await native().createTokenizer(tokenizerConfig(), device, 0)) as Awaited<
      ReturnType<ReturnType<typeof native>['createTokenizer']>
    > & { dispose(): void }
    const pending = model.encode(randomImages(0, 2, 16), null, encoding)
    model.dispose()
    model.dispose()
    expect((await pending).shape).toEqual([2, 4, 3])
    expect(() => model.state()).toThrow('disposed')
  })
})

describe('a tensor', () => {
  test('can be disposed repeatedly, without effect on other handles', async () => {
    const whole = native().tensor(Float32Array.of(1, 2, 3, 4), 'float32', [2, 2], device)
    const view = whole.slice(1, 2)
    whole.dispose()
    whole.dispose()
    expect(whole.disposed).toBe(true)
    expect(() => whole.shape).toThrow('disposed')
    expect(() => whole.read()).toThrow('disposed')
    expect(Array.from(await floats(view))).toEqual([3, 4])
  })

  test('counts in memory(): handles, and shared bytes once', async () => {
    const before = native().memory()
    const whole = native().tensor(new Float32Array(1000), 'float32', [10, 100], device)
    const views = [whole.slice(0, 5), whole.reshape([1000])]
    const during = native().memory()
    expect([during.tensors - before.tensors, during.bytes - before.bytes]).toEqual([3, 4000])
    whole.dispose()
    expect(native().memory().bytes - before.bytes).toBe(4000)
    for (const view of views) view.dispose()
    expect(native().memory()).toEqual(before)
  })

  test("counts a trainer's two networks in memory() until it is disposed", async () => {
    const model = await native().createTokenizer(tokenizerConfig(), device, 0)
    const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
    const trainer = await native().createTokenizerTrainer(model, null, config)
    const sizes = Object.values(model.state()).map(({ shape }) => shape.reduce((product, size) => product * size, 4))
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    // From here on nothing is awaited, so that nobody's garbage is collected in between.
    const held = native().memory().modelBytes
    const handles = [model, trainer.tokenizer, trainer.ema]
    expect(native().memory().modelBytes).toBe(held)
    for (const handle of handles) handle.dispose()
    expect(native().memory().modelBytes).toBe(held)
    trainer.dispose()
    expect(held - native().memory().modelBytes).toBe(2 * bytes)
  })

  test.each([
    ['float32', Float32Array.of(1.5, -2)],
    ['float64', Float64Array.of(1.5, -2)],
    ['int64', BigInt64Array.of(2n ** 40n, -2n)],
    ['int32', Int32Array.of(1, -2)],
    ['int16', Int16Array.of(1, -2)],
    ['int8', Int8Array.of(1, -2)],
    ['uint8', Uint8Array.of(1, 254)],
    ['bfloat16', Uint16Array.of(0x3fc0, 0xc000)],
    ['float16', Uint16Array.of(0x3e00, 0xc000)]
  ])('of %s keeps its bytes and its dtype', async (dtype, data) => {
    const handle = native().tensor(data, dtype, [2], device)
    expect(handle.dtype).toBe(dtype)
    expect(Buffer.from(await handle.read())).toEqual(Buffer.from(data.buffer))
  })

  test('converts to another dtype', async () => {
    const halves = native().tensor(Uint16Array.of(0x3fc0, 0xc000), 'bfloat16', [2], device)
    expect(Array.from(await floats(await halves.to(device, 'float32')))).toEqual([1.5, -2])
  })
})

describe('failures', () => {
  test('of LibTorch are MactokErrors with a code and the first line of the message', async () => {
    const model = await native().createTokenizer(tokenizerConfig(), device, 0)
    const latents = native().tensor(new Float32Array(10), 'float32', [2, 5], device)
    const error = await awaitNative(model.decode(latents, 'fp32')).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ name: 'MactokError', code: 'ERR_LIBTORCH' })
    expect((error as Error).message).not.toContain('\n')
  })

  test('leave the engine and the model usable', async () => {
    const model = await native().createTokenizer(tokenizerConfig(), device, 0)
    const wrong = native().tensor(new Float32Array(10), 'float32', [2, 5], device)
    await expect(model.encode(wrong, null, encoding)).rejects.toThrow()
    await expect(
      model.encode(randomImages(0, 2, 16), native().tensor(new Uint8Array(3), 'uint8', [1, 3], device), encoding)
    ).rejects.toThrow()
    expect((await model.encode(randomImages(0, 2, 16), null, encoding)).shape).toEqual([2, 4, 3])
  })

  test('do not leak gradients of a failed step into the next one', async () => {
    const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
    const model = await native().createTokenizer(tokenizerConfig(), device, 4)
    const trainer = await native().createTokenizerTrainer(model, null, config)
    const options = { step: 0, lr: 0, weights: { reconstruction: 1, kl: 1e-6, alignment: 0 } }
    const images = randomImages(1, 4, 16)
    await trainer.step([images], options)
    const { gradNorm } = await trainer.metrics()
    const wrong = native().tensor(new Float32Array(4 * 3), 'float32', [4, 3], device)
    await expect(trainer.step([images, wrong], options)).rejects.toThrow()
    await trainer.step([images], options)
    expect((await trainer.metrics()).gradNorm).toBeCloseTo(gradNorm as number, 6)
  })

  test('of an unknown device list the known names', () => {
    expect(() => native().tensor(new Float32Array(1), 'float32', [1], 'gpu')).toThrow(/cpu, cuda, cuda:<index> or mps/)
    expect(() => native().tensor(new Float32Array(1), 'float32', [1], 'cuda:999999')).toThrow(/device/i)
  })

  test('of an impossible allocation are errors', async () => {
    const one = native().tensor(new Float32Array(1), 'float32', [1], device)
    expect(() => native().tensor(new Float32Array(1), 'float32', [2 ** 50], device)).toThrow()
    expect(() => one.reshape([2 ** 50])).toThrow()
    await settle()
  })
})
