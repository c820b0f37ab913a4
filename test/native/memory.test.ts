import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import type { NativeTensor } from '../../lib/native/addon.js'
import { device, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'
import { goldenTeacher } from '../support/training.js'

// Each use in a process of its own: what other tests left in this one decides how far its memory grows and shrinks.
describe('memory of a model goes back to the system', () => {
  const shape = vit({ width: 256, depth: 8 })
  const settings = {
    device,
    tokenizer: tokenizerConfig({ encoder: shape, decoder: shape }),
    trainer: trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
  }

  test.each([
    { when: 'its trainer is disposed', use: 'trainer', least: 200 },
    { when: 'it has encoded and its device has been idle', use: 'idle', least: 20 },
    { when: 'it has encoded and is disposed', use: 'disposed', least: 20 }
  ])('when $when', async ({ use, least }) => {
    const worker = fileURLToPath(new URL('memory-worker.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [worker, use, JSON.stringify(settings)])
    const { before, used, after } = JSON.parse(stdout)
    expect(used - before).toBeGreaterThan(least)
    expect(after - before).toBeLessThan((used - before) / 4)
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

describe('a result keeps no more memory than itself', () => {
  /** Disposes a float32 tensor: how many bytes that frees for each of its own. */
  function freedBy(tensor: NativeTensor): number {
    const size = 4 * tensor.shape.reduce((product, side) => product * side, 1)
    const before = native().memory().bytes
    tensor.dispose()
    return (before - native().memory().bytes) / size
  }

  test('cls without the patches', async () => {
    const teacher = await goldenTeacher()
    const { cls, patches } = await teacher.features(randomImages(1, 2, 24), 'fp32')
    expect(freedBy(patches)).toBe(1)
    expect(freedBy(cls)).toBe(1)
  })

  test('means without the log-variances', async () => {
    const tokenizer = await native().createTokenizer(tokenizerConfig(), device, 1)
    const images = randomImages(1, 2, 16)
    const { mean, logvar } = await tokenizer.posterior(images, 'fp32')
    expect(freedBy(logvar as NativeTensor)).toBe(1)
    expect(freedBy(mean)).toBe(1)
    const latents = await tokenizer.encode(images, null, { precision: 'fp32', sample: false, seed: 0, indices: [] })
    expect(freedBy(latents)).toBe(1)
  })
})
