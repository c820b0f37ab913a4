import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { stringify } from 'yaml'
import { writePng } from '../../lib/data/image.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { writeSafetensors } from '../../lib/weights/index.js'
import { mactok } from '../support/cli.js'
import { gradient, Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { describeWhere, WEIGHTS } from '../support/paths.js'
import { runJob } from './support.js'

jest.setTimeout(900_000)
const place = new Workplace()
const worker = fileURLToPath(new URL('evaluation-worker.mjs', import.meta.url))
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
// Ranks train the same up to rounding: without a learning rate, they evaluate the same weights.
const training = { batch: 6, precision: 'fp32', optimizer: { lr: 0 }, checkpoint: { every: 100 } }
const tokenizer = {
  ...training,
  tokenizer: { imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  masking: { semantic: 0 },
  align: { local: false, global: false },
  grid: { every: null }
}

let meetings = 0
/** A new file where ranks meet. */
const meeting = () => `file://${place.path(`meeting-${meetings++}`)}`

/** Trains by so many ranks, of one thread each; returns the lines of the log that evaluations wrote. */
async function evaluations(ranks: number, kind: string, settings: object, args: string[]) {
  const name = [ranks, ...Object.keys(settings), args.length].join('-')
  const [config, out] = [place.path(`${name}.yaml`), place.path(name)]
  writeFileSync(config, stringify(settings))
  const train = ['train', kind, '--config', config, '--out', out, '--device', 'cpu', ...args]
  const launched = ranks === 1 ? train : ['launch', '--nproc', String(ranks), '--rdzv', meeting(), '--', ...train]
  const { code, stderr } = await mactok(launched, { env: { OMP_NUM_THREADS: '1', MACTOK_WEIGHTS: WEIGHTS } })
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return readMetrics(out).filter(({ evaluation }) => evaluation)
}

describe('an evaluation during training, shared by the ranks', () => {
  // Seven batches of two images, one of them without a readable one: each number of ranks has ranks with fewer batches.
  beforeAll(async () => {
    for (const name of ['photos', 'held/a', 'held/b']) mkdirSync(place.path(name), { recursive: true })
    for (let i = 0; i < 6; i++) await writePng(place.path(`photos/${i}.png`), gradient(32, 32, 20 * i))
    for (let i = 0; i < 13; i++) {
      const file = place.path(`held/${i < 6 ? 'a' : 'b'}/${String(i).padStart(2, '0')}.png`)
      if (i === 4 || i === 5) writeFileSync(file, 'no image')
      else await writePng(file, gradient(32 + i, 32, 19 * i))
    }
  })
  const data = () => ['--data', place.path('photos'), '--held-out', place.path('held')]

  test('has the numbers of one process, also where the ranks divide the average', async () => {
    const settings = {
      ...tokenizer,
      steps: 2,
      evaluation: { every: 1, batch: 2, metrics: ['ssim'], probe: 'flatten' }
    }
    const alone = await evaluations(1, 'tokenizer', settings, data())
    expect(alone.map(({ step, evaluation }) => ({ step, ...(evaluation as object) }))).toMatchObject([
      {
        step: 1,
        psnr: expect.any(Number),
        ssim: expect.any(Number),
        kl: expect.any(Number),
        probe: expect.any(Number)
      },
      { step: 2, mutualInformation: expect.any(Number), activeUnits: expect.any(Number) }
    ])
    expect(await evaluations(2, 'tokenizer', settings, data())).toEqual(alone)
    expect(await evaluations(3, 'tokenizer', settings, data())).toEqual(alone)
    expect(await evaluations(2, 'tokenizer', settings, [...data(), '--sharded'])).toEqual(alone)
  })

  test('is refused before the first step where all ranks lack its weights', async () => {
    const config = place.path('lacking.yaml')
    const evaluation = { every: 1, metrics: ['rfdDinov2'], dinov2: '/nowhere/dinov2' }
    writeFileSync(config, stringify({ ...tokenizer, steps: 2, evaluation }))
    const [out, ranks] = [place.path('lacking'), ['launch', '--nproc', '2', '--rdzv', meeting(), '--']]
    const train = ['train', 'tokenizer', '--config', config, '--out', out, '--device', 'cpu', ...data()]
    const { code, stderr } = await mactok([...ranks, ...train], { env: { OMP_NUM_THREADS: '1' } })
    expect(code).not.toBe(0)
    expect(stderr).toContain('rfdDinov2, which evaluation.metrics requests, cannot be computed: The weights /nowhere')
    expect(readMetrics(out)).toEqual([])
  })

  test('is refused on all ranks where the first one finds no reference', async () => {
    using decoder = await Tokenizer.create('tiny-32', { device: 'cpu' })
    await decoder.save(place.path('small'))
    const identity = { tokenizer: await decoder.identity() }
    const latents = await twoClassShards(place.path('few'), { tokens: 32, channels: 16, ...identity })
    // Enough to be taken for the weights, which are not loaded before they are needed.
    mkdirSync(place.path('inception'))
    await writeSafetensors(place.path('inception/model.safetensors'), [
      { name: 'Mixed_7c.branch3x3dbl_3b.bn.running_var', dtype: 'float32', shape: [1], data: new Float32Array(1) }
    ])
    const config = place.path('typo.yaml')
    const evaluation = { every: 1, inception: place.path('inception') }
    writeFileSync(
      config,
      stringify({ ...training, generator: { width: 32, depth: 2, heads: 2 }, steps: 2, evaluation })
    )
    const [out, ranks] = [place.path('typo'), ['launch', '--nproc', '2', '--rdzv', meeting(), '--']]
    const args = ['--latents', latents, '--tokenizer', place.path('small'), '--reference', place.path('vall')]
    const train = ['train', 'generator', '--config', config, '--out', out, '--device', 'cpu', ...args]
    const { code, stderr } = await mactok([...ranks, ...train], { env: { OMP_NUM_THREADS: '1' } })
    expect(code).not.toBe(0)
    expect(stderr).toContain(`for reference: There is neither a folder nor a tar at ${place.path('vall')}`)
    expect(readMetrics(out)).toEqual([])
  })

  const weights = ['inception-fid', 'dinov2-small', 'lpips-vgg'].map((name) => join(WEIGHTS, name))
  const isLong = Boolean(process.env.MACTOK_TEST_LONG) && weights.every((path) => existsSync(path))
  describeWhere(isLong, 'two minutes; MACTOK_TEST_LONG=1 runs it where the weights are', 'with weights', () => {
    test('has the distances of one process', async () => {
      const metrics = ['lpips', 'rfid', 'rkid', 'rfdDinov2', 'rkdDinov2']
      const evaluation = { every: 1, images: 7, batch: 2, metrics, dinov2: join(WEIGHTS, 'dinov2-small') }
      const settings = { steps: 1, ...tokenizer, evaluation }
      const alone = await evaluations(1, 'tokenizer', settings, data())
      const numbers = Object.fromEntries(metrics.map((name) => [name, expect.any(Number)]))
      expect(alone).toMatchObject([{ evaluation: numbers }])
      expect(await evaluations(2, 'tokenizer', settings, data())).toEqual(alone)
      expect(await evaluations(3, 'tokenizer', settings, data())).toEqual(alone)
    })

    test('measures the same samples of a generator as one process', async () => {
      const decoder = await Tokenizer.create('tiny-32', { device: 'cpu' })
      await decoder.save(place.path('decoder'))
      const identity = { tokenizer: await decoder.identity() }
      const latents = await twoClassShards(place.path('latents'), { tokens: 32, channels: 16, ...identity })
      decoder.dispose()
      const settings = {
        ...training,
        generator: { width: 32, depth: 2, heads: 2 },
        steps: 1,
        // Two batches: the third of three ranks has none.
        evaluation: {
          every: 1,
          metrics: ['fdDinov2', 'kdDinov2'],
          samples: 66,
          steps: 1,
          dinov2: join(WEIGHTS, 'dinov2-small')
        }
      }
      const args = ['--latents', latents, '--tokenizer', place.path('decoder'), '--reference', place.path('photos')]
      const alone = await evaluations(1, 'generator', settings, args)
      expect(alone).toMatchObject([{ evaluation: { gfdDinov2: expect.any(Number), gkdDinov2: expect.any(Number) } }])
      expect(await evaluations(2, 'generator', settings, args)).toEqual(alone)
      expect(await evaluations(3, 'generator', settings, args)).toEqual(alone)
    })
  })

  test('ends the job with the name of a rank that is killed in the middle', async () => {
    let killed = Number.NaN
    const job = [worker, place.path('photos'), place.path('held'), place.path('killed')]
    const { code, failed, lines } = await runJob(job, 3, {
      rdzv: meeting(),
      patience: 60_000,
      onLine: ({ rank, text }) => {
        if (rank === 1 && text === 'killed') killed = Date.now()
      }
    })
    expect({ code, rank: failed?.rank, last: failed?.lines.at(-1) }).toEqual({
      code: 137,
      rank: 1,
      last: 'ended by SIGKILL'
    })
    for (const rank of [0, 2]) {
      expect(lines[rank]?.at(-1)).toMatch(/^error: The job has failed: rank 1 \(.+, process \d+\) is lost/)
    }
    expect(Date.now() - killed).toBeLessThan(60_000)
  })
})
