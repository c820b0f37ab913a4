import { execFile } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from '@jest/globals'
import { device, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'

const megabytes = () => process.memoryUsage.rss() / 2 ** 20

// In a process of its own: what other tests left in this one decides how far its memory grows and shrinks.
test('disposing a trainer returns its memory to the system', async () => {
  const shape = vit({ width: 256, depth: 8 })
  const model = JSON.stringify(tokenizerConfig({ encoder: shape, decoder: shape }))
  const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
  const program = `
    const { addon } = await import(${JSON.stringify(new URL('../../dist/native/load.js', import.meta.url).href)})
    const native = addon()
    const megabytes = () => process.memoryUsage.rss() / 2 ** 20
    const model = await native.createTokenizer(${model}, '${device}', 1)
    const noise = native.uniform(1, 'pixels', 0, 0, 64, 768)
    const images = native.tensor(Uint8Array.from(noise, (value) => value * 256), 'uint8', [64, 16, 16, 3], '${device}')
    const train = async () => {
      const trainer = await native.createTokenizerTrainer(model, null, ${JSON.stringify(config)})
      await trainer.step([images], { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0 } })
      const training = megabytes()
      trainer.dispose()
      await images.read() // the engine's next job
      return { training, after: megabytes() }
    }
    const { after: before } = await train() // with it goes what loading and the first step keep
    console.log(JSON.stringify({ before, ...(await train()) }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program])
  const { before, training, after } = JSON.parse(stdout)
  expect(training - before).toBeGreaterThan(200)
  expect(after - before).toBeLessThan((training - before) / 4)
})

describe('inference', () => {
  afterAll(() => native().releaseWhenIdle(10_000))

  const shape = vit({ width: 256, depth: 8 })
  const model = () => native().createTokenizer(tokenizerConfig({ encoder: shape, decoder: shape }), device, 1)
  const encode = async (tokenizer: Awaited<ReturnType<typeof model>>) => {
    const images = randomImages(0, 256, 16)
    const options = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
    const latents = await tokenizer.encode(images, null, options)
    const used = megabytes()
    for (const tensor of [images, latents]) tensor.dispose()
    return used
  }

  test('returns its memory to the system when its device has been idle', async () => {
    native().releaseWhenIdle(300)
    const tokenizer = await model()
    await setTimeout(1500)
    const before = megabytes()
    const used = await encode(tokenizer)
    await setTimeout(1500)
    expect(used - before).toBeGreaterThan(20)
    expect(megabytes() - before).toBeLessThan((used - before) / 4)
    tokenizer.dispose()
  })

  test('returns it when its model is disposed', async () => {
    native().releaseWhenIdle(600_000)
    const warm = await model()
    await encode(warm)
    warm.dispose()
    await native().engineThreads(device) // the engine's next job
    const before = megabytes()
    const tokenizer = await model()
    const used = await encode(tokenizer)
    tokenizer.dispose()
    await native().engineThreads(device)
    expect(used - before).toBeGreaterThan(20)
    expect(megabytes() - before).toBeLessThan((used - before) / 4)
  })
})

describe('memory that goes back to the system', () => {
  const [small, medium, large] = [4096, 16384, 65536]

  test.each([small, medium, large])('is made of whole pages of %d bytes', (size) => {
    const { damaged, discarded } = native().cpuCache(size, size)
    expect(damaged).toBe(0)
    expect(discarded).toBeGreaterThan(0)
  })

  test('would otherwise take bytes of its neighbours with it', () => {
    expect(native().cpuCache(small, large).damaged).toBeGreaterThan(0)
  })
})
