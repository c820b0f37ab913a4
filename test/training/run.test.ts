import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { addon } from '../../lib/native/load.js'
import { newestCheckpoint } from '../../lib/runs/checkpoint.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { readTokenizerRun } from '../../lib/training/tokenizer/record.js'
import type { TrainingConfigInput } from '../../lib/training/tokenizer/schema.js'
import { type TokenizerTraining, trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { device } from '../support/native.js'

const vit = { width: 16, depth: 2, heads: 2, layerScale: 1 }
/** Small enough for steps of milliseconds; nothing that needs weights. */
const small: TrainingConfigInput = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 6,
  precision: 'fp32',
  align: { local: false, global: false },
  masking: { semantic: 0 },
  optimizer: { lr: 1e-3, warmup: 2 },
  log: { every: 2 },
  checkpoint: { every: 3 }
}

let folder: string
let photos: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-run-'))
  photos = join(folder, 'photos')
  mkdirSync(photos)
  for (let i = 0; i < 10; i++) {
    const data = Uint8Array.from(addon().uniform(i, 'test', 0, 0, 1, 24 * 20 * 3), (value) => value * 256)
    await writePng(join(photos, `${i}.png`), { data, width: 24, height: 20 })
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

const training = (changes: TrainingConfigInput = {}): TokenizerTraining =>
  trainTokenizer(small).set(changes).data(photos)
const dir = (name: string) => join(folder, name)

/** The bytes of all weights of a run's newest checkpoint. */
async function weights(run: string): Promise<Record<string, string>> {
  const newest = await newestCheckpoint(run)
  const files = Object.keys(newest?.state.files ?? {}).filter((name) => name.endsWith('.safetensors'))
  return Object.fromEntries(
    files.map((name) => [name, readFileSync(join(newest?.folder as string, name)).toString('base64')])
  )
}
/** Without what depends on the clock. */
const metrics = (run: string) => readMetrics(run).map(({ imagesPerSecond: _, ...line }) => line)

describe('a run', () => {
  const whole = () => dir('whole')

  beforeAll(async () => {
    await training({ data: { heldOut: 3 }, evaluation: { every: 4 } }).run({ dir: whole(), device })
  })

  test('writes checkpoints, its record and its metrics', async () => {
    expect(readdirSync(join(whole(), 'checkpoints'))).toEqual(['step-0000003', 'step-0000006'])
    const files = ['config.json', 'ema.safetensors', 'model.safetensors', 'optimizer.safetensors', 'state.json']
    expect(readdirSync(join(whole(), 'checkpoints', 'step-0000006')).sort()).toEqual(files)
    const record = await readTokenizerRun(whole())
    expect(record?.data).toEqual({
      from: photos,
      heldOutFrom: null,
      images: 7,
      heldOut: 3,
      listing: expect.stringMatching(/^[0-9a-f]{64}$/),
      heldOutListing: null
    })
    expect(record?.settled.optimizer).toMatchObject({ lr: 1e-3, warmup: 2 })
    expect(Object.keys(record?.versions ?? {}).sort()).toEqual(['libtorch', 'mactok', 'node'])
    const log = readMetrics(whole())
    expect(log.map(({ step }) => step)).toEqual([2, 3, 4, 4, 6])
    expect(log[0]).toMatchObject({ epoch: 8 / 7, lr: 1e-3, klWeight: 1e-6, skipped: 0 })
    expect(Object.keys(log[0]?.loss ?? {})).toEqual(['total', 'reconstruction', 'kl'])
    const number = expect.any(Number)
    expect(log[3]?.evaluation).toEqual({
      psnr: number,
      activeUnits: number,
      activeTokens: number,
      informativeTokens: number,
      kl: number,
      mutualInformation: number,
      aggregateKl: number
    })
    for (const curve of ['klPerChannel', 'klPerToken', 'activeUnitsPerToken', 'mutualInformationPerToken']) {
      expect(Object.keys(log[3]?.[curve] ?? {}).length).toBeGreaterThan(0)
    }
    expect(readdirSync(whole()).some((name) => name.startsWith('events.out.tfevents.'))).toBe(true)
  })

  test('resumes bit-exactly', async () => {
    const settings = { data: { heldOut: 3 }, evaluation: { every: 4 } }
    const parts = dir('parts')
    const first = await training(settings).run({ dir: parts, device, stopAt: 3 })
    expect(first).toEqual({ dir: parts, step: 3, steps: 6, interrupted: false })
    const second = await training(settings).run({ dir: parts, device, resume: true })
    expect(second).toEqual({ dir: parts, step: 6, steps: 6, interrupted: false })
    expect(await weights(parts)).toEqual(await weights(whole()))
    expect(metrics(parts)).toEqual(metrics(whole()))
  })

  test('resumes to the same weights when it was aborted in the middle of an interval', async () => {
    const aborted = dir('aborted')
    const controller = new AbortController()
    const first = await training({ data: { heldOut: 3 }, log: { every: 1 } })
      .on('step', ({ step }) => step === 2 && controller.abort())
      .run({ dir: aborted, device, signal: controller.signal })
    expect(first).toMatchObject({ step: 2, interrupted: true })
    expect((await newestCheckpoint(aborted))?.state).toMatchObject({ step: 2, samples: 8 })
    await training({ data: { heldOut: 3 } }).run({ dir: aborted, device, resume: true })
    expect(await weights(aborted)).toEqual(await weights(whole()))
  })

  test.each<[string, (step: number) => unknown]>([
    [
      'throws',
      (step) => {
        if (step === 4) throw new Error('no space for the chart')
      }
    ],
    ['rejects', async (step) => (step === 4 ? Promise.reject(new Error('no space for the chart')) : undefined)]
  ])('ends with a checkpoint when a listener %s, and resumes to the same weights', async (name, listener) => {
    const folder = dir(`listener-${name}`)
    const settings = { data: { heldOut: 3 }, log: { every: 1 } }
    const seen: number[] = []
    const failing = training(settings)
      .on('step', ({ step }) => listener(step) as undefined)
      .on('step', ({ step }) => seen.push(step))
      .run({ dir: folder, device })
    await expect(failing).rejects.toMatchObject({
      code: 'ERR_LISTENER',
      message: expect.stringMatching(/^A listener of step failed: no space for the chart\. The run stopped/),
      cause: new Error('no space for the chart')
    })
    // The other listeners are called all the same.
    expect(seen).toEqual([1, 2, 3, 4])
    expect((await newestCheckpoint(folder))?.state).toMatchObject({ step: 4 })
    await training({ data: { heldOut: 3 } }).run({ dir: folder, device, resume: true })
    expect(await weights(folder)).toEqual(await weights(whole()))
  })

  test('does not begin when a listener of its start throws', async () => {
    const folder = dir('listener-start')
    const failing = training()
      .on('start', () => {
        throw 'no'
      })
      .run({ dir: folder, device })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_LISTENER', cause: 'no' })
    expect(await newestCheckpoint(folder)).toBeNull()
  })

  test('has other weights with another seed', async () => {
    const other = dir('seed')
    await training({ seed: 1, data: { heldOut: 3 } }).run({ dir: other, device })
    expect(await weights(other)).not.toEqual(await weights(whole()))
  })

  test('agrees to rounding in micro-batches', async () => {
    const micro = dir('micro')
    await training({ microBatch: 2, data: { heldOut: 3 } }).run({ dir: micro, device })
    const [one, many] = [readMetrics(whole()), readMetrics(micro)]
    for (const [i, { loss }] of many.filter((line) => 'loss' in line).entries()) {
      const expected = one.filter((line) => 'loss' in line)[i]?.loss as Record<string, number>
      expect((loss as Record<string, number>).total).toBeCloseTo(expected.total as number, 4)
    }
  })

  test('trains all epochs, also where they are more steps than `steps`', async () => {
    const epochs = training({ steps: 1, epochs: 4, data: { heldOut: 2 } })
    expect(await epochs.run({ dir: dir('epochs'), device })).toMatchObject({ step: 8, steps: 8, interrupted: false })
  })

  test('loads as a tokenizer: the averaged or the raw weights', async () => {
    using average = await Tokenizer.load(whole(), { device })
    using raw = await Tokenizer.load(whole(), { device, raw: true })
    expect(average.config.latentTokens).toBe(4)
    expect(await average.identity()).not.toBe(await raw.identity())
  })
})

describe('a run folder', () => {
  test('with a run is not overwritten', async () => {
    const taken = dir('taken')
    await training().run({ dir: taken, device, stopAt: 1 })
    await expect(training().run({ dir: taken, device })).rejects.toThrow('it has one at step 1')
  })

  test('is resumed with its own settings only', async () => {
    const own = dir('own')
    await training().run({ dir: own, device, stopAt: 1 })
    const resume = (changes: TrainingConfigInput) =>
      training(changes).run({ dir: own, device, resume: true, stopAt: 2 })
    await expect(resume({ masking: { max: 0.5 } })).rejects.toThrow('masking.max is 0.7 there but 0.5 here')
    await expect(resume({ log: { every: 1 }, checkpoint: { keep: 1 } })).resolves.toMatchObject({ step: 2 })
  })

  test('without a checkpoint starts from scratch when resumed', async () => {
    const fresh = dir('fresh')
    expect(await training().run({ dir: fresh, device, resume: true, stopAt: 1 })).toMatchObject({ step: 1 })
  })
})

describe('a teacher that is missing', () => {
  const needing: TrainingConfigInput = { masking: { semantic: 0.5 }, align: { local: true } }

  test('stops the run and explains how to get it', async () => {
    const run = training({ ...needing, teacher: { weights: 'no-such-dinov2' } }).run({ dir: dir('error'), device })
    await expect(run).rejects.toThrow('mactok weights pull')
    expect(existsSync(dir('error'))).toBe(false)
  })

  test('is skipped with a notice where that is allowed', async () => {
    const notices: string[] = []
    const allowed = training({ ...needing, teacher: { weights: 'no-such-dinov2' } })
      .teacher('auto')
      .on('notice', ({ message }) => notices.push(message))
    await allowed.run({ dir: dir('skip'), device, stopAt: 1 })
    expect(notices).toEqual([
      expect.stringContaining('no-such-dinov2 were not found: training without semantic masks and alignment')
    ])
    const { masking, align } = (await readTokenizerRun(dir('skip')))?.settled ?? {}
    expect([masking?.semantic, align?.local, align?.global]).toEqual([0, false, false])
  })

  test('stops a run of a preset that would do without, where it was named', async () => {
    for (const weights of ['./nosuch', 'no-such-dinov2']) {
      const run = trainTokenizer('tiny-32').set({ teacher: { weights } }).data(photos)
      await expect(run.run({ dir: dir('named'), device })).rejects.toThrow(`The weights ${weights} were not found`)
    }
  })

  test('is not reported where none is wanted', async () => {
    const notices: string[] = []
    const without = training({ ...needing, teacher: { weights: null } }).on('notice', ({ message }) => {
      notices.push(message)
    })
    await without.run({ dir: dir('none'), device, stopAt: 1 })
    expect(notices).toEqual([])
    await without.run({ dir: dir('none'), device, resume: true, stopAt: 2 })
    expect((await readTokenizerRun(dir('none')))?.settled).toMatchObject({
      masking: { semantic: 0 },
      align: { local: false }
    })
  })
})

test('reports a broken image once and replaces it', async () => {
  const some = dir('broken-photos')
  mkdirSync(some)
  for (const name of ['0.png', '1.png']) writeFileSync(join(some, name), readFileSync(join(photos, name)))
  writeFileSync(join(some, 'cut.png'), readFileSync(join(photos, '0.png')).subarray(0, 300))
  const broken: string[] = []
  const run = trainTokenizer(small).data(some)
  await run.on('broken', ({ name }) => broken.push(name)).run({ dir: dir('broken'), device })
  expect(broken).toEqual(['cut.png'])
  await expect(
    trainTokenizer(small)
      .set({ data: { strict: true } })
      .data(some)
      .run({ dir: dir('strict'), device })
  ).rejects.toThrow('cut.png')
})
