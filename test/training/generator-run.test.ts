import { existsSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { Generator } from '../../lib/generator/generator.js'
import { LatentShards, openLatents } from '../../lib/latents/index.js'
import { newestCheckpoint } from '../../lib/runs/checkpoint.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import type { GeneratorStepEvent } from '../../lib/training/generator/events.js'
import { latentBatches } from '../../lib/training/generator/latent-batches.js'
import { type GeneratorTrainingInput, resolveGeneratorTraining } from '../../lib/training/generator/schema.js'
import { trainGenerator } from '../../lib/training/generator/training.js'
import { readSafetensors, writeSafetensors } from '../../lib/weights/index.js'
import { Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device, native } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const place = new Workplace()
let shards: string

beforeAll(async () => {
  shards = await twoClassShards(place.path('shards'))
})

const settings: GeneratorTrainingInput = {
  generator: { width: 32, depth: 2, heads: 2 },
  steps: 12,
  batch: 16,
  seed: 4,
  precision: 'fp32',
  log: { every: 4 },
  checkpoint: { every: 6 },
  optimizer: { lr: 2e-3 }
}

const train = (dir: string, options: object = {}, changes: object = {}) =>
  trainGenerator({ ...settings, ...changes })
    .latents(shards)
    .run({ dir: place.path(dir), device, ...options })

const weights = async (dir: string, name: string, step: number) => {
  const folder = `checkpoints/step-${String(step).padStart(7, '0')}`
  await using file = await readSafetensors(place.path(`${dir}/${folder}/${name}.safetensors`))
  return Promise.all(file.names().map(async (key) => [key, Buffer.from(await file.bytes(key)).toString('base64')]))
}

describe('a generator run', () => {
  test('writes checkpoints that load as a generator, with statistics, classes and tokenizer', async () => {
    expect(await train('plain')).toMatchObject({ step: 12, steps: 12, interrupted: false })
    using generator = await Generator.load(place.path('plain'), { device })
    expect(generator.config).toMatchObject({ latentShape: [4, 3], classes: 2, model: 'sit', width: 32 })
    expect(generator.classNames).toEqual(['left', 'right'])
    expect(generator.identity.tokenizer).toBe('nobody')
    await using opened = await openLatents(shards)
    expect([...(generator.identity.statistics?.mean ?? [])]).toEqual([...(await opened.statistics()).mean])
  })

  test('resumes bit-exactly', async () => {
    await train('halves', { stopAt: 5 })
    expect(await train('halves', { resume: true })).toMatchObject({ step: 12 })
    for (const name of ['model', 'ema', 'optimizer']) {
      expect(await weights('halves', name, 12)).toEqual(await weights('plain', name, 12))
    }
    const losses = (dir: string) =>
      readFileSync(place.path(`${dir}/metrics.jsonl`), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ step, loss }) => ({ step, loss }))
    expect(losses('halves').at(-1)).toEqual(losses('plain').at(-1))
  })

  test('sees the same noise in micro-batches', async () => {
    const events: GeneratorStepEvent[] = []
    for (const microBatch of [null, 4]) {
      await trainGenerator({ ...settings, microBatch })
        .latents(shards)
        .on('step', (event) => events.push(event))
        .run({ dir: place.path(`micro-${microBatch}`), device, stopAt: 4 })
    }
    const [whole, parts] = events as [GeneratorStepEvent, GeneratorStepEvent]
    expect(Math.abs((whole.loss.total as number) / (parts.loss.total as number) - 1)).toBeLessThan(1e-4)
  })

  test('refuses other settings, another folder of shards and a second start', async () => {
    await expect(train('plain')).rejects.toThrow(/a folder without a run/)
    await expect(train('plain', { resume: true }, { seed: 5 })).rejects.toThrow(/seed is 4 there but 5 here/)
    const other = await twoClassShards(place.path('other'), { count: 32 })
    await expect(
      trainGenerator(settings)
        .latents(other)
        .run({ dir: place.path('plain'), device, resume: true })
    ).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test('draws grids of decoded samples, always of the same noise', async () => {
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    await tokenizer.save(place.path('tokenizer'))
    const [tokens, channels] = [32, 16]
    const decoded = await twoClassShards(place.path('tiny'), {
      tokens,
      channels,
      tokenizer: await tokenizer.identity()
    })
    const files: [number, string][] = []
    const run = (dir: string) =>
      trainGenerator({ ...settings, optimizer: { lr: 0 } })
        .grid({ every: 4, images: 4, steps: 2 })
        .latents(decoded, { tokenizer: place.path('tokenizer') })
        .on('grid', ({ step, file }) => files.push([step, file]))
        .run({ dir: place.path(dir), device, steps: 8 })
    await run('grids')
    expect(files).toEqual([4, 8].map((step) => [step, place.path(`grids/grids/step-000000${step}.png`)]))
    const [one, other] = files.map(([, file]) => readFileSync(file)) as [Buffer, Buffer]
    expect(one.subarray(1, 4).toString()).toBe('PNG')
    expect(other.equals(one)).toBe(true)

    const stranger = await twoClassShards(place.path('strange'), { tokens, channels })
    const refused = trainGenerator({ ...settings, grid: { every: 4 } })
      .latents(stranger, { tokenizer: place.path('tokenizer') })
      .run({ dir: place.path('refused'), device })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test('checks what evaluations need before the first step', async () => {
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    await tokenizer.save(place.path('checking'))
    const identity = { tokenizer: await tokenizer.identity() }
    const latents = await twoClassShards(place.path('checked'), { tokens: 32, channels: 16, ...identity })
    const [inception, photos] = [place.path('inception'), place.path('few')]
    for (const folder of [inception, photos]) await mkdir(folder)
    await writePng(`${photos}/0.png`, { data: new Uint8Array(32 * 32 * 3), width: 32, height: 32 })
    // Enough to be taken for the weights, which are not loaded before they are needed.
    await writeSafetensors(`${inception}/model.safetensors`, [
      { name: 'Mixed_7c.branch3x3dbl_3b.bn.running_var', dtype: 'float32', shape: [1], data: new Float32Array(1) }
    ])
    const dir = place.path('unevaluated')
    const start = (reference: string, evaluation: object = {}, options: object = {}) =>
      trainGenerator({ ...settings, evaluation: { every: 6, inception, ...evaluation } })
        .latents(latents, { tokenizer: place.path('checking'), reference })
        .run({ dir, device, ...options })
    await expect(start(photos, { metrics: ['kid'], inception: '/nowhere/inception' })).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(
        /^kid, which evaluation.metrics requests, cannot be computed: The weights \/nowhere\/inception of FID/
      )
    })
    for (const [path, problem] of [
      [place.path('typo'), `There is neither a folder nor a tar at ${place.path('typo')}`],
      [place.path('typo.npz'), `${place.path('typo.npz')} is not an .npz archive`]
    ] as const) {
      await expect(start(path)).rejects.toMatchObject({
        code: 'ERR_FORMAT',
        message: expect.stringContaining(
          `Expected images (a folder, tars, .npz) or statistics (.npz) for reference: ${problem}`
        )
      })
    }
    await expect(start(photos)).rejects.toThrow(
      `Expected 2 or more images, which fid needs for reference (${photos}) but received 1`
    )
    await expect(start(photos, { references: 1 })).rejects.toThrow(
      'Expected 2 or more images, which fid needs for evaluation.references but received 1'
    )
    await expect(start(photos, { metrics: ['fid', 'recall'], samples: 3 })).rejects.toThrow(
      'Expected 4 or more images, which recall needs for evaluation.samples but received 3'
    )
    expect(existsSync(join(dir, 'metrics.jsonl'))).toBe(false)
    // The steps end before the first evaluation.
    expect(await start(photos, { every: 13 })).toMatchObject({ step: 12 })
  })

  describeWith(join(WEIGHTS, 'dinov2-small'), 'with a reference', () => {
    test('evaluates samples over its steps, always of the same noise, and keeps the statistics of the reference', async () => {
      using tokenizer = await Tokenizer.create('tiny-32', { device })
      await tokenizer.save(place.path('decoder'))
      const latents = await twoClassShards(place.path('decodable'), {
        tokens: 32,
        channels: 16,
        tokenizer: await tokenizer.identity()
      })
      const photos = place.path('photos')
      await mkdir(photos)
      for (let i = 0; i < 5; i++) {
        const data = Uint8Array.from(native().uniform(i, 'photo', 0, 0, 1, 32 * 32 * 3), (value) => 255 * value)
        await writePng(`${photos}/${i}.png`, { data, width: 32, height: 32 })
      }
      const found: Record<string, number>[] = []
      const run = (options: object) =>
        trainGenerator({ ...settings, optimizer: { lr: 0 } })
          .set({
            evaluation: {
              every: 2,
              metrics: ['fdDinov2', 'kdDinov2'],
              samples: 6,
              references: 4,
              steps: 2,
              dinov2: join(WEIGHTS, 'dinov2-small')
            }
          })
          .latents(latents, { tokenizer: place.path('decoder'), reference: photos })
          .on('evaluation', (event) => found.push(event))
          .run({ dir: place.path('evaluated'), device, steps: 6, ...options })
      await run({ stopAt: 3 })
      await run({ resume: true })
      expect(found.map(({ step }) => step)).toEqual([2, 4, 6])
      expect(found[0]?.gfdDinov2).toBeGreaterThan(0)
      for (const event of found) expect({ ...event, step: 2 }).toEqual(found[0])
      const lines = readMetrics(place.path('evaluated')).filter(({ evaluation }) => evaluation)
      expect(lines.map(({ step, evaluation }) => ({ step, ...(evaluation as object) }))).toEqual(found)
      expect(existsSync(place.path('evaluated/reference.npz'))).toBe(true)
      expect(() => trainGenerator(settings).latents(latents, { reference: photos })).toThrow('for tokenizer')
    })
  })

  test('stops with a checkpoint when nothing is finite any more', async () => {
    const huge = await twoClassShards(place.path('huge'), { scale: 1e30 })
    const events: GeneratorStepEvent[] = []
    const run = trainGenerator({ ...settings, steps: 100, maxSkipped: 5, latents: { normalise: 'none' } })
      .latents(huge)
      .on('step', (event) => events.push(event))
      .run({ dir: place.path('diverged'), device })
    await expect(run).rejects.toMatchObject({
      code: 'ERR_DIVERGED',
      message: expect.stringMatching(/^Stopped at step 6: the last 6 steps .+ \(flow, gradNorm, total\)/)
    })
    expect(events.at(-1)).toMatchObject({ step: 6, skippedInARow: 6, nonFinite: { flow: 2 } })
    expect((await newestCheckpoint(place.path('diverged')))?.state.step).toBe(6)
    using generator = await Generator.load(place.path('diverged'), { device })
    expect((await generator.sample({ steps: 1 })).latents.shape).toEqual([1, 4, 3])
  })

  test('learns the classes: the samples of each are close to its latents', async () => {
    const rarely = { log: { every: 100 }, checkpoint: { every: 400 } }
    await train('learned', {}, { steps: 400, ema: { decay: 0.99 }, latents: { flip: false }, ...rarely })
    using generator = await Generator.load(place.path('learned'), { device })
    for (const [name, mean] of [
      ['left', -2],
      ['right', 3]
    ] as const) {
      const { latents, labels } = await generator.sample({ classes: name, count: 32, steps: 20 })
      expect(new Set(labels)).toEqual(new Set([mean < 0 ? 0 : 1]))
      const values = await latents.data()
      const found = values.reduce((sum, value) => sum + value, 0) / values.length
      expect(Math.abs(found - mean)).toBeLessThan(0.5)
    }
  })
})

describe('latent batches', () => {
  const options = { batch: 16, seed: 1, flip: true, statistics: null, startStep: 0 }
  const take = async (count: number, changes: object = {}) => {
    await using opened = await openLatents(shards)
    const found = []
    const batches = latentBatches(opened, { ...options, ...changes })
    for (let i = 0; i < count; i++) found.push((await batches.next()).value)
    await batches.return()
    return found as { latents: Float32Array; labels: BigInt64Array }[]
  }

  test('show every sample once an epoch, across shards, in an order that the seed decides', async () => {
    const firsts = (batches: { latents: Float32Array }[]) =>
      batches.flatMap(({ latents }) => Array.from({ length: 16 }, (_, i) => Math.abs(latents[i * 12] as number)))
    const [one, again, other] = [await take(4), await take(4), await take(4, { seed: 2 })]
    expect(new Set(firsts(one)).size).toBe(64)
    expect(one).toEqual(again)
    expect(firsts(other)).not.toEqual(firsts(one))
    expect([...firsts(other)].sort()).toEqual([...firsts(one)].sort())
  })

  test('give unlabelled samples the label of no class', async () => {
    const [folder, data] = [place.path('unlabelled'), new Float32Array(2)]
    await mkdir(folder)
    await writeSafetensors(`${folder}/latents.safetensors`, [
      { name: 'latents', dtype: 'float32', shape: [2, 1, 1], data },
      { name: 'labels', dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 4n) }
    ])
    await using opened = await openLatents(folder)
    const { value } = await latentBatches(opened, { ...options, batch: 2, flip: false }).next()
    expect([...(value?.labels ?? [])].sort()).toEqual([4n, 5n])
  })

  test('start at any step as if they had run up to it', async () => {
    expect((await take(1, { startStep: 5 }))[0]).toEqual((await take(6))[5])
  })

  test('are the same from native reads as from those of Node, and map nothing', async () => {
    await using read = await openLatents(shards)
    await using reading = await LatentShards.open(shards, native())
    const first = async (latents: LatentShards) => (await latentBatches(latents, options).next()).value
    expect(await first(reading)).toEqual(await first(read))
    if (process.platform !== 'linux') return
    // A mapped file that is cut would end the process.
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(shards)
  })

  test('take about half of the rows from mirrored images', async () => {
    const mirrored = (await take(4)).flatMap(({ latents, labels }) =>
      Array.from(
        labels,
        (label, i) => Math.sign(latents.slice(i * 12, i * 12 + 12).reduce((a, b) => a + b)) !== (label ? 1 : -1)
      )
    )
    const count = mirrored.filter(Boolean).length
    expect(count).toBeGreaterThan(16)
    expect(count).toBeLessThan(48)
  })
})

describe('settings', () => {
  test('presets have the sizes of the originals', () => {
    const sizes = (name: string) => {
      const { width, depth, heads, model } = resolveGeneratorTraining(name).generator
      return [model, width, depth, heads]
    }
    expect(sizes('sit-xl')).toEqual(['sit', 1152, 28, 16])
    expect(sizes('lightningdit-xl')).toEqual(['lightning-dit', 1152, 28, 16])
    expect(sizes('lightningdit-1p6b')).toEqual(['lightning-dit', 1792, 28, 28])
  })

  test('errors name the setting and the nearest preset', () => {
    expect(() => resolveGeneratorTraining('sit-tinny')).toThrow(/did you mean sit-tiny/)
    expect(() => resolveGeneratorTraining({ generator: { width: 100, heads: 3 } })).toThrow(
      /generator.heads: expected a divisor of width/
    )
    expect(() => resolveGeneratorTraining({ batch: 10, microBatch: 3 })).toThrow(
      /microBatch: expected a divisor of batch/
    )
    expect(() => trainGenerator('sit-tiny').set({ fow: {} } as never)).toThrow(/Unknown setting fow; did you mean flow/)
  })
})
