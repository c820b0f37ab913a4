import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { runJob } from './support.js'

interface Trained {
  metrics: Record<string, number>
  /** float32 by group and name. */
  state: Record<string, string>
}

const worker = fileURLToPath(new URL('train-worker.mjs', import.meta.url))
const kinds = ['tokenizer', 'decoder', 'sit', 'lightningDit']
jest.setTimeout(300_000)
const folder = mkdtempSync(join(tmpdir(), 'mactok-ranks-'))
afterAll(() => rmSync(folder, { recursive: true }))

const trained = new Map<string, Promise<Record<string, Trained>>>()
/** Ten steps on a global batch of eight, by so many ranks. */
function train(ranks: number, more: string[] = []): Promise<Record<string, Trained>> {
  const name = [ranks, ...more].join('')
  const result = trained.get(name) ?? runTraining(ranks, more)
  trained.set(name, result)
  return result
}

async function runTraining(ranks: number, more: string[]): Promise<Record<string, Trained>> {
  const file = join(folder, `${[ranks, ...more].join('')}.json`)
  const { code, failed } = await runJob([worker, file, ...more], ranks, { rdzv: `file://${file}.meeting` })
  expect({ code, lines: failed?.lines }).toEqual({ code: 0, lines: undefined })
  return JSON.parse(readFileSync(file, 'utf8'))
}

const floats = (text: string) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)

/**
 * The bias before a batch norm, which takes it out again: its gradient is rounding errors, which AdamW scales up. Only the
 * norm's running mean depends on it.
 */
const isArbitrary = (name: string) => /heads\.\d+\.(0|1\.fn)\.(0\.bias|1\.running_mean)$/.test(name)

/** The largest difference of two states, and where it is. */
function distance(one: Trained, other: Trained): { largest: number; where: string } {
  let result = { largest: 0, where: '' }
  for (const [name, text] of Object.entries(other.state)) {
    if (isArbitrary(name)) continue
    const actual = floats(one.state[name] as string)
    floats(text).forEach((value, i) => {
      const difference = Math.abs((actual[i] as number) - value) / Math.max(1, Math.abs(value))
      if (!(difference <= result.largest)) result = { largest: difference, where: name }
    })
  }
  return result
}

describe('a job of several ranks', () => {
  let alone: Record<string, Trained>
  beforeAll(async () => {
    alone = await train(1)
  })

  test.each([2, 4])('of %i ends with the weights, averages, moments and metrics of one process', async (ranks) => {
    const shared = await train(ranks)
    for (const kind of kinds) {
      const [actual, expected] = [shared[kind], alone[kind]] as [Trained, Trained]
      expect(Object.keys(actual.state)).toEqual(Object.keys(expected.state))
      expect({ kind, ...distance(actual, expected) }).toMatchObject({ largest: expect.closeTo(0, 5) })
      expect(Object.keys(actual.metrics)).toEqual(Object.keys(expected.metrics))
      for (const [name, value] of Object.entries(expected.metrics)) {
        const difference = Math.abs((actual.metrics[name] as number) - value) / Math.max(1, Math.abs(value))
        expect({ kind, name, isClose: difference < 1e-5 }).toEqual({ kind, name, isClose: true })
      }
    }
  })

  test('computes the same from micro-batches, whose batch statistics span the ranks', async () => {
    const more = ['--microBatches', '2', '--steps', '4']
    const [one, two] = [await train(1, more), await train(2, more)]
    for (const kind of kinds) {
      expect({ kind, ...distance(two[kind] as Trained, one[kind] as Trained) }).toMatchObject({
        largest: expect.closeTo(0, 5)
      })
    }
  })

  test('whose optimiser state is divided has the same numbers, bit by bit', async () => {
    const more = ['--microBatches', '2', '--steps', '4']
    expect(await train(2, [...more, '--sharded'])).toEqual(await train(2, more))
  })
})
