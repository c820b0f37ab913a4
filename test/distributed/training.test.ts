import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { stringify } from 'yaml'
import { writePng } from '../../lib/data/image.js'
import { readSafetensors } from '../../lib/weights/index.js'
import { mactok } from '../support/cli.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 10,
  precision: 'fp32',
  masking: { semantic: 0 },
  align: { local: false, global: false },
  evaluation: { every: 5 },
  grid: { every: 5, images: 2 },
  data: { heldOut: 2 },
  log: { every: 1 },
  checkpoint: { every: 5 }
}

jest.setTimeout(300_000)
const folder = mkdtempSync(join(tmpdir(), 'mactok-ranks-'))
const at = (...names: string[]) => join(folder, ...names)
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(async () => {
  writeFileSync(at('config.yaml'), stringify(config))
  mkdirSync(at('photos'))
  for (let i = 0; i < 9; i++) {
    const data = Uint8Array.from({ length: 20 * 20 * 3 }, (_, j) => (j * (i + 3) * 7) % 256)
    await writePng(at('photos', `${i}.png`), { data, width: 20, height: 20 })
  }
  const { code, stderr } = await mactok(args('alone'))
  expect({ code, stderr }).toMatchObject({ code: 0 })
})

const args = (out: string, more: string[] = []) => [
  ...['train', 'tokenizer', '--config', at('config.yaml'), '--data', at('photos'), '--out', at(out), '--device', 'cpu'],
  ...['--rank-timeout', '20'],
  ...more
]
let meetings = 0
const launched = (ranks: number, words: string[], options: Parameters<typeof mactok>[1] = {}) => {
  const meeting = `file://${at(`meeting-${meetings++}`)}`
  return mactok(['launch', '--nproc', String(ranks), '--rdzv', meeting, '--', ...words], options)
}
/** What a rank does at its first checkpoint. */
const atCheckpoint = new URL('at-checkpoint.mjs', import.meta.url).href

async function weightsOf(run: string, step = 10): Promise<Record<string, Float32Array>> {
  await using file = await readSafetensors(
    at(run, 'checkpoints', `step-${String(step).padStart(7, '0')}`, 'model.safetensors')
  )
  const result: Record<string, Float32Array> = {}
  for (const name of file.tensors.keys()) result[name] = new Float32Array((await file.bytes(name)).slice().buffer)
  return result
}

async function expectSameWeights(run: string, other: string) {
  const [one, two] = [await weightsOf(run), await weightsOf(other)]
  expect(Object.keys(one)).toEqual(Object.keys(two))
  for (const [name, values] of Object.entries(two)) {
    const largest = values.reduce((most, value, i) => Math.max(most, Math.abs(value - (one[name]?.[i] as number))), 0)
    expect({ name, isClose: largest < 1e-5 }).toEqual({ name, isClose: true })
  }
}

const metricsOf = (run: string) =>
  readFileSync(at(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { step: number; loss?: { total: number } })

describe('mactok launch', () => {
  test('trains by two ranks what one process trains, and only rank 0 writes', async () => {
    const { code, stdout, stderr } = await launched(2, args('two'))
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: `${at('two')}: step 10 of 10\n` })
    await expectSameWeights('two', 'alone')
    const [two, alone] = [metricsOf('two'), metricsOf('alone')]
    expect(two.map(({ step }) => step)).toEqual(alone.map(({ step }) => step))
    for (const [i, { loss }] of alone.entries()) {
      if (loss) expect(two[i]?.loss?.total).toBeCloseTo(loss.total, 4)
    }
    expect(readdirSync(at('two', 'grids'))).toEqual(readdirSync(at('alone', 'grids')))
    expect(stderr).toMatch(/^\[0\] .*steps 0 to 10/m)
    expect(stderr).not.toMatch(/^\[1\] .*steps/m)
    expect(existsSync(at('two', 'train.lock'))).toBe(false)
  })

  test('writes a checkpoint at SIGTERM, which another number of ranks resumes', async () => {
    const stopped = await launched(2, args('resumed', ['--checkpoint.every', '1', '--json']), {
      env: { NODE_OPTIONS: `--import ${atCheckpoint}`, SIGNALLED: at('signalled') }
    })
    expect(stopped.code).toBe(130)
    expect(stopped.stdout.trim().split('\n').at(-1)).toMatch(/^\{"event":"end".*"interrupted":true|"error"/)
    const { code, stderr } = await mactok(args('resumed', ['--resume', '--checkpoint.every', '5']))
    expect({ code, stderr }).toMatchObject({ code: 0 })
    await expectSameWeights('resumed', 'alone')
  })

  test('refuses a batch that the ranks do not divide, and shows the error once', async () => {
    const { code, stderr } = await launched(3, args('odd'))
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /\nrank \d failed with exit code 2:\nerror: Expected a multiple of 3, the number of ranks for batch but received 4 of type number\n/
    )
  })

  test('trains alone where that is requested', async () => {
    const env = { RANK: '1', WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: '1' }
    const { code } = await mactok(args('apart', ['--no-distributed', '--steps', '2']), { env })
    expect(code).toBe(0)
  })
})

test('a rank that is killed ends the others, and the job resumes from its newest checkpoint', async () => {
  const { code, stderr } = await mactok(
    ['launch', '--nproc', '2', '--restarts', '1', '--', ...args('killed', ['--checkpoint.every', '2', '--json'])],
    { env: { NODE_OPTIONS: `--import ${atCheckpoint}` } }
  )
  expect({ code, stderr }).toMatchObject({ code: 0 })
  expect(stderr).toMatch(/^rank 0 failed \(ended by SIGKILL\); restart 1 of 1$/m)
  await expectSameWeights('killed', 'alone')
})
