import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'

interface Answer {
  seconds: number[]
  cpu: number[]
  losses: number[]
  memory: number
}

/** Runs one of the benches' workers, and reads the JSON of its last line. */
async function answer(worker: string, spec: object): Promise<Answer> {
  const file = fileURLToPath(new URL(`../../bench/workers/${worker}.mjs`, import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [file, JSON.stringify({ precision: 'fp32', ...spec })])
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

const vit = { width: 32, depth: 1, heads: 2 }
const tokenizer = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 2, encoder: vit, decoder: vit }

test('the worker of tokenizers measures steps, and says what their losses were', async () => {
  const spec = { tokenizer, recipe: 'plain', batch: 2, warmup: 0, rounds: 2, steps: 1 }
  const { seconds, losses, memory } = await answer('tokenizer', spec)
  expect(seconds).toHaveLength(2)
  // Reconstruction and KL of three steps.
  expect(losses).toHaveLength(6)
  expect(losses.every((loss) => Number.isFinite(loss) && loss > 0)).toBe(true)
  expect(memory).toBeGreaterThan(1e6)
})

test.each([
  ['a tokenizer', { kind: 'tokenizer', tokenizer }],
  ['a generator', { kind: 'sit', preset: 'sit-tiny', tokens: 4 }]
])('the worker of ranks measures steps of %s and its memory', async (_, what) => {
  const { seconds, cpu, memory } = await answer('ranks', { ...what, batch: 1, steps: 2 })
  expect(seconds).toHaveLength(2)
  expect(cpu).toHaveLength(2)
  expect(memory).toBeGreaterThan(1e6)
})
