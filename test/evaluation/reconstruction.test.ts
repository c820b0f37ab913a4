import { existsSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { imageFolder } from '../../lib/data/image-folder.js'
import { openImages } from '../../lib/evaluation/image-stream.js'
import { encodeSamples } from '../../lib/evaluation/latent-samples.js'
import { describeLatents } from '../../lib/evaluation/latent-space.js'
import { psnr } from '../../lib/evaluation/psnr.js'
import { evaluateReconstruction } from '../../lib/evaluation/reconstruction.js'
import { reconstruct } from '../../lib/pipeline/reconstruct.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { mactok, withoutWeights } from '../support/cli.js'
import { gradient, Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { describeWith, testWith, WEIGHTS } from '../support/paths.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = { imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit }
let tokenizer: Tokenizer
let photos: string
let model: string

beforeAll(async () => {
  tokenizer = await Tokenizer.create(config, { device, seed: 3 })
  model = place.path('model')
  await tokenizer.save(model)
  photos = place.path('photos')
  for (const name of ['left', 'right']) await mkdir(join(photos, name), { recursive: true })
  for (let i = 0; i < 12; i++) {
    await writePng(join(photos, i % 2 ? 'right' : 'left', `${i}.png`), gradient(32 + i, 32 + 2 * i, 20 * i))
  }
})
afterAll(() => tokenizer.dispose())

describe('the metrics of reconstructions', () => {
  test('need no weights for PSNR, SSIM, active units and KL, and do not depend on batches', async () => {
    const one = await evaluateReconstruction(tokenizer, imageFolder(photos), { metrics: ['ssim'], batch: 5 })
    const two = await evaluateReconstruction(tokenizer, imageFolder(photos), { metrics: ['ssim'], batch: 64 })
    expect(one).toMatchObject({ images: 12, notices: [] })
    expect(one.psnr).toBeCloseTo(two.psnr, 2)
    expect(one.ssim).toBeCloseTo(two.ssim as number, 3)
    expect(one.kl).toBeCloseTo(two.kl as number, 3)
    expect(one.activeUnits).toBe(two.activeUnits)
    expect('rfid' in one || 'lpips' in one).toBe(false)
    const grid = await reconstruct(tokenizer, imageFolder(photos), place.path('grid.png'))
    expect(one.psnr).toBeCloseTo(grid.psnr, 2)
  })

  test('include the PSNR of reconstructions from samples of the posterior', async () => {
    const settings = { metrics: ['samplePsnr'] as const, batch: 12 }
    const result = await evaluateReconstruction(tokenizer, imageFolder(photos), settings)
    await using stream = await openImages(photos, { size: 32 })
    const values: number[] = []
    for await (const { images, count } of stream.batches(0, 12)) {
      using batch = tensor(images, [count, 32, 32, 3], { dtype: 'uint8' })
      using latents = await tokenizer.encode(batch, { sample: true })
      using decoded = await tokenizer.decode(latents)
      values.push(...psnr(images, await decoded.toFloat32(), count))
    }
    expect(values).toHaveLength(12)
    expect(result.samplePsnr).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / 12, 9)
    expect(Math.abs(result.psnr - (result.samplePsnr as number))).toBeGreaterThan(1e-4)
  })

  test('are none of samples where there is no posterior, which is said', async () => {
    using plain = await Tokenizer.create({ ...config, bottleneck: 'ae' }, { device })
    const result = await evaluateReconstruction(plain, imageFolder(photos), { metrics: ['samplePsnr'] })
    expect([result.samplePsnr, result.notices]).toEqual([undefined, ['no samplePsnr: the tokenizer has no posterior']])
  })

  test('take images spread over the listing, and stop by signal', async () => {
    const progress: number[] = []
    const options = { metrics: [], count: 4, batch: 2, onProgress: (done: number) => progress.push(done) }
    expect((await evaluateReconstruction(tokenizer, imageFolder(photos), options)).images).toBe(4)
    expect(progress).toEqual([0, 2, 4])
    const stopped = evaluateReconstruction(tokenizer, imageFolder(photos), { metrics: [], signal: AbortSignal.abort() })
    await expect(stopped).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  })

  test('refuse an unknown metric', async () => {
    const wrong = evaluateReconstruction(tokenizer, imageFolder(photos), { metrics: ['fid' as never] })
    await expect(wrong).rejects.toThrow(
      'Expected some of samplePsnr, ssim, lpips, rfid, rkid, rfdDinov2, rkdDinov2 for metrics'
    )
  })

  test('without weights report what is missing; a requested metric is an error', async () => {
    const env = withoutWeights(place)
    const args = ['evaluate', 'reconstruction', model, '--data', photos, '--device', device]
    const all = await mactok(args, { env })
    expect(all.code).toBe(0)
    expect(all.stdout).toMatch(/^images +12\nPSNR +[\d.]+ dB\nSSIM +[\d.-]+\nactive units/)
    expect(all.stderr).toContain('no rfid: the weights inception-fid were not found')
    const named = await mactok([...args, '--metrics', 'rfid'], { env })
    expect([named.code, named.stderr]).toEqual([1, expect.stringContaining('mactok weights import')])
    const wrong = await mactok([...args, '--metrics', 'x'], { env })
    expect(wrong.code).toBe(2)
  })

  describeWith(join(WEIGHTS, 'inception-fid'), 'with weights', () => {
    const dinov2 = join(WEIGHTS, 'dinov2-small')
    testWith(dinov2, 'include kernel distances and FD-DINOv2', async () => {
      const metrics = ['rkid', 'rfdDinov2', 'rkdDinov2'] as const
      const inception = join(WEIGHTS, 'inception-fid')
      const result = await evaluateReconstruction(tokenizer, imageFolder(photos), {
        metrics,
        inception,
        dinov2,
        count: 6
      })
      for (const metric of metrics) expect(result[metric]).toBeGreaterThan(0)
      expect(result.rfid).toBeUndefined()
      expect(result.dinov2Weights).toBe(dinov2)
    })

    test('include LPIPS and rFID', async () => {
      const lpips = join(WEIGHTS, 'lpips-alex')
      const metrics = existsSync(lpips) ? (['lpips', 'rfid'] as const) : (['rfid'] as const)
      const inception = join(WEIGHTS, 'inception-fid')
      const result = await evaluateReconstruction(tokenizer, imageFolder(photos), {
        metrics,
        lpips,
        inception,
        count: 6
      })
      expect(result.rfid).toBeGreaterThan(1)
      if (metrics.length > 1) expect(result.lpips).toBeGreaterThan(0.01)
    })
  })
})

describe('latent space', () => {
  test('is described in plots, grids and numbers, equal for equal seeds', async () => {
    const samples = await encodeSamples(tokenizer, imageFolder(photos), { count: 100 })
    expect(samples).toMatchObject({ count: 12, tokens: 4, channels: 4, classes: ['left', 'right'] })
    const options = { decoder: { tokenizer, images: imageFolder(photos) }, tokens: 2, neighbours: 3 }
    const folder = place.path('latents')
    const found = await describeLatents(samples, folder, options)
    expect(found.files.sort()).toEqual(
      [
        'controls-0.png',
        'controls-1.png',
        'interpolation.png',
        'kl-channels.svg',
        'kl-tokens.svg',
        'latents.json'
      ].concat(['pca.svg', 'umap.svg'])
    )
    for (const file of found.files) expect(existsSync(join(folder, file))).toBe(true)
    const { kl, activeUnits } = await evaluateReconstruction(tokenizer, imageFolder(photos), { metrics: [] })
    const sum = (values: number[] = []) => values.reduce((total, value) => total + value, 0)
    expect(sum(found.klPerToken)).toBeCloseTo(kl as number, 3)
    expect(sum(found.klPerChannel)).toBeCloseTo(kl as number, 3)
    expect(found.activeUnits).toBeCloseTo(activeUnits as number, 6)
    expect(found.controls?.map((tokens) => tokens.map(({ token }) => token))).toEqual([
      [0, 2],
      [0, 2]
    ])
    expect(found.pca.explained[0]).toBeGreaterThanOrEqual(found.pca.explained[1] as number)
    const again = await describeLatents(samples, place.path('again'), { neighbours: 3 })
    expect(again.umap).toEqual(found.umap)
    expect(JSON.parse(readFileSync(join(folder, 'latents.json'), 'utf8'))).toMatchObject({
      images: 12,
      formatVersion: 1
    })
  })

  test('is described by the command, for images and for shards', async () => {
    const out = place.path('command')
    const args = ['inspect', 'latents', model, '--out', out, '--device', device, '--neighbours', '3']
    const missing = await mactok(args)
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('Expected --data <path>')])
    const { code, stdout } = await mactok([...args, '--data', photos, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ folder: out, images: 12, tokens: 4 })
    const shards = place.path('shards')
    expect((await mactok(['encode', model, '--data', photos, '--out', shards, '--device', device])).code).toBe(0)
    const ofShards = await mactok(['inspect', 'latents', shards, '--out', `${out}-2`, '--neighbours', '0'])
    expect(ofShards.code).toBe(0)
    expect(ofShards.stdout).toMatch(/written +.*: pca\.svg, latents\.json/)
  })
})
