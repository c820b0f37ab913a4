import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
import { trainDecoder, trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { fileWeights, readSafetensors } from '../../lib/weights/index.js'
import { removeChecksums } from '../support/checksums.js'
import { device } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const vit = { width: 16, depth: 2, heads: 2, layerScale: 1 }
const small: TrainingConfigInput = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 4,
  precision: 'fp32',
  align: { local: false, global: false },
  masking: { semantic: 0 },
  optimizer: { lr: 1e-3, warmup: 2 },
  log: { every: 1 },
  checkpoint: { every: 2 }
}
/** Every term of the objective, the discriminator from step 2 on. */
const complete: TrainingConfigInput = {
  align: { local: true, global: true, hidden: 8 },
  teacher: { weights: join(WEIGHTS, 'dinov2-small') },
  loss: { perceptual: { weights: join(WEIGHTS, 'lpips-vgg'), warmup: 2 } },
  discriminator: { weights: join(WEIGHTS, 'dinov2-small'), inputSize: 56, start: 2 }
}

let folder: string
let photos: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-recipe-'))
  photos = join(folder, 'photos')
  mkdirSync(photos)
  for (let i = 0; i < 8; i++) {
    const data = Uint8Array.from(addon().uniform(i, 'test', 0, 0, 1, 40 * 36 * 3), (value) => value * 256)
    await writePng(join(photos, `${i}.png`), { data, width: 40, height: 36 })
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

const dir = (name: string) => join(folder, name)
const training = (changes: TrainingConfigInput = {}) => trainTokenizer(small).set(changes).data(photos)

/** The tensors of one file of a run's newest checkpoint, as text. */
async function tensors(run: string, file: string): Promise<Record<string, string>> {
  const { folder: place } = (await newestCheckpoint(run)) as { folder: string }
  await using opened = await readSafetensors(join(place, file))
  const entries = [...fileWeights(opened)].map(async ([name, tensor]) => [
    name,
    Buffer.from(await tensor.bytes()).toString('base64')
  ])
  return Object.fromEntries(await Promise.all(entries))
}
const files = async (run: string) => readdirSync(((await newestCheckpoint(run)) as { folder: string }).folder).sort()
const metrics = (run: string) => readMetrics(run).map(({ imagesPerSecond: _, ...line }) => line)
const ofEncoder = (weights: Record<string, string>) =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => /^(encoder|to_posterior)\./.test(name)))
const identity = async (run: string) => {
  using tokenizer = await Tokenizer.load(run, { device })
  return tokenizer.identity()
}

describeWith(join(WEIGHTS, 'lpips-vgg'), 'a run with all five terms', () => {
  const whole = () => dir('complete')
  beforeAll(async () => {
    await training(complete).run({ dir: whole(), device })
  })

  test('logs them, the discriminator from its start on', () => {
    const lines = readMetrics(whole())
    const terms = ['total', 'reconstruction', 'kl', 'alignLocal', 'alignGlobal']
    expect(lines.map(({ loss }) => Object.keys(loss ?? {}).sort())).toEqual([
      terms.toSorted(),
      [...terms, 'perceptual'].sort(),
      [...terms, 'perceptual', 'adversarial'].sort(),
      [...terms, 'perceptual', 'adversarial'].sort()
    ])
    expect(lines.map(({ discriminator }) => (discriminator as Record<string, number>).calls)).toEqual([0, 0, 5, 5])
    expect(lines.every(({ skipped, nonFinite }) => skipped === 0 && nonFinite === undefined)).toBe(true)
    expect(Object.keys(lines[3]?.discriminator ?? {})).toEqual(
      expect.arrayContaining([
        'loss',
        'consistency',
        'lecam',
        'logitsReal',
        'logitsFake',
        'accuracyReal',
        'accuracyFake'
      ])
    )
  })

  test('resumes bit-exactly before and after the start of the discriminator', async () => {
    const parts = dir('complete-parts')
    await training(complete).run({ dir: parts, device, stopAt: 1 })
    await training(complete).run({ dir: parts, device, stopAt: 3, resume: true })
    await training(complete).run({ dir: parts, device, resume: true })
    expect(await files(parts)).toEqual(await files(whole()))
    expect(await files(parts)).toEqual(
      expect.arrayContaining(['discriminator.safetensors', 'discriminator_optimizer.safetensors'])
    )
    for (const file of (await files(parts)).filter((name) => name.endsWith('.safetensors'))) {
      expect(await tensors(parts, file)).toEqual(await tensors(whole(), file))
    }
    expect(metrics(parts)).toEqual(metrics(whole()))
  })

  test('hands its discriminator on to the fine-tuning of the decoder', async () => {
    const tuned = dir('complete-decoder')
    const decoder = (await trainDecoder(whole())).set({ epochs: 1 }).data(photos)
    expect(await decoder.run({ dir: tuned, device })).toMatchObject({ step: 2, steps: 2 })
    expect(readMetrics(tuned).map(({ discriminator }) => (discriminator as Record<string, number>).calls)).toEqual([
      5, 5
    ])
    const steps = await Promise.all([whole(), tuned].map((run) => tensors(run, 'discriminator_optimizer.safetensors')))
    const count = (text?: string) => Buffer.from(text as string, 'base64').readFloatLE()
    expect(steps.map(({ step }) => count(step))).toEqual([2, 4])
    expect(await identity(tuned)).toBe(await identity(whole()))
  })
})

describe('fine-tuning the decoder', () => {
  test('leaves encoder and latents as they were', async () => {
    const [first, tuned] = [dir('first'), dir('tuned')]
    await training().run({ dir: first, device })
    const decoder = (await trainDecoder(first)).set({ epochs: 2, optimizer: { lr: 1e-3 } }).data(photos)
    expect(await decoder.run({ dir: tuned, device })).toMatchObject({ step: 4, steps: 4 })
    const before = await tensors(first, 'ema.safetensors')
    for (const file of ['model.safetensors', 'ema.safetensors']) {
      const after = await tensors(tuned, file)
      expect(ofEncoder(after)).toEqual(ofEncoder(before))
      expect(after['to_pixels.weight']).not.toBe(before['to_pixels.weight'])
    }
    expect(await identity(tuned)).toBe(await identity(first))
    expect((await readTokenizerRun(tuned))?.settled).toMatchObject({
      part: 'decoder',
      steps: 4,
      masking: { target: 'none' }
    })
    expect(metrics(tuned).every((line) => line.maskRatio === undefined && line.klWeight === 0)).toBe(true)
  })

  test('resumes bit-exactly', async () => {
    const [first, whole, parts] = [dir('first-2'), dir('tuned-2'), dir('tuned-parts')]
    await training().run({ dir: first, device })
    const decoder = async () => (await trainDecoder(first)).set({ epochs: 2 }).data(photos)
    await (await decoder()).run({ dir: whole, device })
    await (await decoder()).run({ dir: parts, device, stopAt: 1 })
    await (await decoder()).run({ dir: parts, device, resume: true })
    for (const file of ['model.safetensors', 'ema.safetensors', 'optimizer.safetensors']) {
      expect(await tensors(parts, file)).toEqual(await tensors(whole, file))
    }
  })

  test('takes ten epochs, or the steps that it is given', async () => {
    const first = dir('first-3')
    await training({ steps: 1 }).run({ dir: first, device })
    const decoder = await trainDecoder(first)
    expect(decoder.config.epochs).toBe(10)
    expect(decoder.set({ steps: 7 }).config).toMatchObject({ epochs: null, steps: 7 })
  })

  test('needs a run, and refuses masks', async () => {
    await expect(trainDecoder(dir('nowhere'))).rejects.toThrow(
      'Expected the folder of a tokenizer run for run but received'
    )
    expect(() => training({ part: 'decoder', masking: { target: 'none' } })).toThrow(
      'init: expected a trained tokenizer where only its decoder is trained'
    )
    expect(() => training({ part: 'decoder', init: dir('first') })).toThrow(
      'masking.target: expected none where only the decoder is trained'
    )
  })
})

test('a run at a larger image size starts from a smaller one, its positions resampled', async () => {
  const [first, larger] = [dir('small'), dir('larger')]
  await training({ steps: 2 }).run({ dir: first, device })
  await training({ init: first, tokenizer: { imageSize: 32 }, steps: 1, optimizer: { lr: 0 } }).run({
    dir: larger,
    device
  })
  const [before, after] = [await tensors(first, 'ema.safetensors'), await tensors(larger, 'model.safetensors')]
  const changed = Object.keys(after).filter((name) => after[name] !== before[name])
  expect(changed.sort()).toEqual(['decoder.pos_embed', 'encoder.pos_embed'])
})

test('a run whose steps are no longer finite stops after a checkpoint and names the terms', async () => {
  const run = training({ steps: 20, maxSkipped: 3, optimizer: { lr: 1e30, warmup: 0 } }).run({
    dir: dir('diverged'),
    device
  })
  await expect(run).rejects.toMatchObject({
    code: 'ERR_DIVERGED',
    message: expect.stringMatching(/^Stopped at step \d+: the last 3 steps changed nothing.+\(.*gradNorm.*\)/)
  })
  expect((await newestCheckpoint(dir('diverged')))?.state.step).toBeLessThan(20)
})

test('a run whose last logged steps, or nearly all steps, were skipped ends with an error after its checkpoint', async () => {
  const changes = { steps: 6, log: { every: 2 }, optimizer: { lr: 1e30, warmup: 0 } }
  await expect(training(changes).run({ dir: dir('skipped'), device })).rejects.toMatchObject({
    code: 'ERR_DIVERGED',
    message: expect.stringMatching(/^\d of 6 steps changed nothing, the last ones among them, .+\(.*gradNorm.*\)/)
  })
  expect((await newestCheckpoint(dir('skipped')))?.state.step).toBe(6)
})

test('a checkpoint with weights that are not finite is refused with the name of the tensor', async () => {
  const broken = dir('not-finite')
  await training({ steps: 2 }).run({ dir: broken, device })
  const folder = (await newestCheckpoint(broken))?.folder as string
  const file = join(folder, 'model.safetensors')
  const bytes = readFileSync(file)
  // The last value of the file.
  bytes.writeFloatLE(Number.NaN, bytes.length - 4)
  writeFileSync(file, bytes)
  await removeChecksums(join(folder, 'state.json'))
  await expect(training({ steps: 4 }).run({ dir: broken, device, resume: true })).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: expect.stringMatching(
      /^Tensor "[\w.]+" of .+step-0000002\/model\.safetensors has values that are not finite/
    )
  })
})
