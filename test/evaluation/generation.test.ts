import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { Dinov2 } from '../../lib/evaluation/dinov2.js'
import { gather } from '../../lib/evaluation/gather.js'
import {
  evaluateGeneration,
  openReference,
  referenceInput,
  referenceStatistics
} from '../../lib/evaluation/generation.js'
import { openImages } from '../../lib/evaluation/image-stream.js'
import { Inception } from '../../lib/evaluation/inception.js'
import { NpzFile } from '../../lib/files/npz-reader.js'
import { writeNpz } from '../../lib/files/npz-writer.js'
import { Generator } from '../../lib/generator/generator.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { mactok, withoutWeights } from '../support/cli.js'
import { Workplace } from '../support/images.js'
import { device, native } from '../support/native.js'
import { describeWith, testWith, WEIGHTS } from '../support/paths.js'

const place = new Workplace()
const weights = join(WEIGHTS, 'inception-fid')

/** A folder of noisy images of 24 pixels. */
async function images(name: string, count: number, brightness: number): Promise<string> {
  const folder = place.path(name)
  await mkdir(folder, { recursive: true })
  for (let i = 0; i < count; i++) {
    const noise = native().uniform(5, name, 0, i, 1, 24 * 24 * 3)
    const data = Uint8Array.from(noise, (value) => brightness + 100 * value)
    await writePng(join(folder, `${i}.png`), { data, width: 24, height: 24 })
  }
  return folder
}

/** Whether two arrays are equal to the bit: jest takes long over four million numbers. */
const same = (x: ArrayBufferView | undefined, y: ArrayBufferView | undefined) =>
  Buffer.compare(Buffer.from(x?.buffer as ArrayBuffer), Buffer.from(y?.buffer as ArrayBuffer)) === 0

describeWith(weights, 'the metrics of generated images', () => {
  let inception: Inception
  let real: string
  let generated: string
  beforeAll(async () => {
    inception = await Inception.load({ weights, device })
    real = await images('real', 8, 20)
    generated = await images('generated', 6, 90)
  })
  afterAll(() => inception.dispose())

  test('against a folder: all but the Inception score, whose classifier is not there', async () => {
    await using stream = await openImages(generated)
    using reference = await openReference({ inception }, real, { size: stream.width })
    const result = await evaluateGeneration({ inception }, stream, reference)
    expect(result.images).toBe(6)
    expect(result.fid).toBeGreaterThan(1)
    expect(result.sfid).toBeGreaterThan(1)
    expect(result.is).toBeNull()
    expect(result.precision).toBeGreaterThanOrEqual(0)
    expect(result.recall).toBeLessThanOrEqual(1)
    expect(result.notices).toEqual(['no Inception score: the Inception weights lack the classifier, fc'])
  })

  test('are 0, and 1, of the same images', async () => {
    await using stream = await openImages(real)
    using reference = await openReference({ inception }, real)
    const metrics = ['fid', 'precision', 'recall'] as const
    const result = await evaluateGeneration({ inception }, stream, reference, { metrics })
    expect(Math.abs(result.fid as number)).toBeLessThan(1e-6)
    expect([result.precision, result.recall]).toEqual([1, 1])
    expect('sfid' in result).toBe(false)
  })

  const dinov2Weights = join(WEIGHTS, 'dinov2-small')
  testWith(dinov2Weights, 'on DINOv2 alone: Fréchet and kernel distance, also from kept statistics', async () => {
    using dinov2 = await Dinov2.load({ weights: dinov2Weights, device })
    const metrics = ['fdDinov2', 'kdDinov2'] as const
    const partial = place.path('kept.npz')
    const results = []
    for (const expected of [[0, 8], [8]]) {
      const seen: number[] = []
      const onProgress = (done: number) => seen.push(done)
      using reference = await openReference({ dinov2 }, real, { metrics, size: 24, partial, keep: true, onProgress })
      expect(seen).toEqual(expected)
      await using stream = await openImages(generated)
      results.push(await evaluateGeneration({ dinov2 }, stream, reference, { metrics }))
    }
    expect(results[0]).toEqual(results[1])
    expect(results[0]).toMatchObject({ images: 6, dinov2Weights, notices: [] })
    expect(results[0]?.fdDinov2).toBeGreaterThan(1)
    expect('fid' in (results[0] as object)).toBe(false)

    const file = place.path('dinov2.npz')
    await referenceStatistics({ dinov2 }, real, file, { size: 24 })
    using statistics = await openReference({ dinov2 }, file, { metrics })
    await using again = await openImages(generated)
    const other = await evaluateGeneration({ dinov2 }, again, statistics, { metrics })
    expect(other.fdDinov2).toBeCloseTo(results[0]?.fdDinov2 as number, 6)
    expect(other.kdDinov2).toBeNull()
    expect(other.notices).toEqual([`no kdDinov2: ${file} has statistics alone, and a kernel distance needs images`])
  })

  test('KID of the same images is below 0, of others above', async () => {
    const metrics = ['kid'] as const
    using reference = await openReference({ inception }, real, { metrics, size: 24 })
    const kid = async (path: string) => {
      await using stream = await openImages(path)
      return (await evaluateGeneration({ inception }, stream, reference, { metrics })).kid as number
    }
    const [same, other] = [await kid(real), await kid(generated)]
    expect(same).toBeLessThan(0)
    expect(other).toBeGreaterThan(0)
  })

  test('against a file of statistics have the same reference, without precision and recall', async () => {
    const file = place.path('reference.npz')
    expect(await referenceStatistics({ inception }, real, file)).toBe(8)
    expect(await referenceInput(file)).toBe('pytorch')
    await using saved = await NpzFile.open(file)
    expect(saved.names()).toEqual(['mu', 'sigma', 'mu_s', 'sigma_s', 'resize'])
    expect((await saved.describe('sigma')).shape).toEqual([2048, 2048])
    using statistics = await openReference({ inception }, file)
    using folder = await openReference({ inception }, real, { metrics: ['fid', 'sfid'] })
    for (const kind of ['pool', 'spatial'] as const) {
      const [kept, fresh] = [statistics.gaussians[kind], folder.gaussians[kind]]
      expect(same(await kept?.mean.data(), await fresh?.mean.data())).toBe(true)
      expect(same(await kept?.covariance.data(), await fresh?.covariance.data())).toBe(true)
    }
    await using stream = await openImages(generated)
    const a = await evaluateGeneration({ inception }, stream, statistics, { metrics: ['precision'] })
    expect(a.precision).toBeNull()
    expect(a.notices[0]).toContain('has statistics alone')
  })

  test('against statistics with images beside them take features of as many images as requested, and keep them', async () => {
    const file = place.path('both.npz')
    const count = 5
    await writeNpz(file, {
      mu: { shape: [2048], data: new Float64Array(2048) },
      sigma: { shape: [2048, 2048], data: new Float64Array(2048 * 2048) },
      arr_0: { shape: [count, 24, 24, 3], data: Uint8Array.from({ length: count * 24 * 24 * 3 }, (_, i) => i % 251) }
    })
    for (const expected of [[0, 3], [3]]) {
      const seen: number[] = []
      const onProgress = (done: number) => seen.push(done)
      const options = { count: 3, partial: place.path('both-kept.npz'), keep: true, onProgress }
      using reference = await openReference({ inception }, file, { ...options, metrics: ['precision'] })
      expect(seen).toEqual(expected)
      expect(reference.images).toBe(3)
      expect(reference.features.inception?.shape).toEqual([3, 2048])
      expect(await reference.gaussians.pool?.mean.data()).toEqual(new Float64Array(2048))
    }
  })

  test('resume after an interruption with the same result', async () => {
    const file = place.path('partial.npz')
    const stream = () => openImages(generated)
    const controller = new AbortController()
    const stopping = gather({ inception }, await stream(), {
      batch: 2,
      partial: { file, key: 'k' },
      features: ['inception'],
      signal: controller.signal,
      onProgress: (done) => done === 4 && controller.abort()
    })
    await expect(stopping).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect(existsSync(file)).toBe(true)
    const seen: number[] = []
    using again = await gather({ inception }, await stream(), {
      batch: 2,
      partial: { file, key: 'k' },
      features: ['inception'],
      onProgress: (done) => seen.push(done)
    })
    expect(seen).toEqual([4, 6])
    expect(existsSync(file)).toBe(false)
    using whole = await gather({ inception }, await stream(), { batch: 2, features: ['inception'] })
    const [a, b] = [await again.gaussians(), await whole.gaussians()]
    expect(same(await a.pool?.covariance.data(), await b.pool?.covariance.data())).toBe(true)
    expect(
      same(await (await again.features('inception'))?.data(), await (await whole.features('inception'))?.data())
    ).toBe(true)
  })

  test('are printed by the command, which refuses wrong usage with code 2', async () => {
    const env = { MACTOK_WEIGHTS: WEIGHTS }
    const args = ['evaluate', 'generation', generated, '--reference', real, '--metrics', 'kid', '--device', device]
    const { code, stdout } = await mactok([...args, '--json'], { env })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ images: 6, kid: expect.any(Number) })
    const out = place.path('unsaved')
    mkdirSync(join(out, 'evaluation.json', 'in the way'), { recursive: true })
    const unsaved = await mactok([...args, '--out', out], { env })
    expect([unsaved.code, unsaved.stdout]).toEqual([1, expect.stringContaining('KID')])
    expect(unsaved.stderr).toMatch(/error: .*evaluation\.json/)
    const wrong = await mactok([...args.slice(0, -2), '--metrics', 'fod'], { env })
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('some of fid, sfid, is, precision, recall')])
    const sweep = await mactok([...args, '--sweep', 'guidance'], { env })
    expect([sweep.code, sweep.stderr]).toEqual([2, expect.stringContaining('--tokenizer <folder>')])
  })

  test("of a generator's samples, and the best guidance; a sweep resumes", async () => {
    using generator = await Generator.create(
      { width: 16, depth: 1, heads: 2, latentShape: [32, 16], classes: 3 },
      { device }
    )
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    const [made, decoder, out] = ['generator', 'tokenizer', 'sweep'].map((name) => place.path(name)) as [
      string,
      string,
      string
    ]
    await generator.save(made)
    await tokenizer.save(decoder)
    const samples = ['--count', '5', '--steps', '2', '--metrics', 'precision,recall', '--device', device]
    const args = ['evaluate', 'generation', made, '--reference', real, ...samples]
    const env = { MACTOK_WEIGHTS: WEIGHTS }
    const undecoded = await mactok(args, { env })
    expect([undecoded.code, undecoded.stderr]).toEqual([2, expect.stringContaining('Expected --tokenizer <folder>')])
    const axes = ['--sweep', 'guidance,interval', '--intervals', '0:1,0.5:1']
    const sweep = [...args, '--tokenizer', decoder, ...axes, '--by', 'precision', '--out', out]
    const first = await mactok([...sweep, '--scales', '2,3', '--json'], { env })
    expect(first.code).toBe(0)
    const { points, best } = JSON.parse(first.stdout)
    expect(points.map(({ scale }: { scale: number }) => scale)).toEqual([2, 3, best.scale])
    expect(points.map(({ low }: { low: number }) => low)).toEqual([0, 0, 0.5])
    expect(best.metrics).toMatchObject({ images: 5, precision: expect.any(Number), recall: expect.any(Number) })
    expect(readdirSync(out).sort()).toEqual(['precision.svg', 'recall.svg', 'sweep.json'])
    const again = await mactok([...sweep, '--scales', '2,3,4'], { env })
    expect(again.stdout).toMatch(/scale 4 from 0 to 1 +precision/)
    expect(again.stdout).toContain('best precision: scale')
    expect(again.stderr).not.toContain('scale 2')
  })
})

test('missing Inception weights: the error says where to get them', async () => {
  const env = withoutWeights(place)
  const { code, stderr } = await mactok(['evaluate', 'statistics', place.path('none'), '--out', 'x.npz'], { env })
  expect(code).toBe(1)
  expect(stderr).toContain('pt_inception-2015-12-05-6726825d.pth')
  expect(stderr).toContain('mactok weights import pt_inception-2015-12-05-6726825d.pth --name inception-fid')
})
