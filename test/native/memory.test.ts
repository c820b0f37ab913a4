import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { device, native, tokenizerConfig, trainerConfig, vit } from '../support/native.js'

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
