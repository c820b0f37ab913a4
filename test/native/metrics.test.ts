import { expect, test } from '@jest/globals'
import { frechetDistance, type Gaussian, Moments } from '../../lib/evaluation/gaussian.js'
import { InceptionScore } from '../../lib/evaluation/inception-score.js'
import { kernelDistance } from '../../lib/evaluation/kernel-distance.js'
import { precisionRecall } from '../../lib/evaluation/precision-recall.js'
import { ssim } from '../../lib/evaluation/ssim.js'
import { tensor as facade, Tensor } from '../../lib/tensor/tensor.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'

// test/golden/metrics.py: scikit-image 0.26.0, pytorch-fid 0.3.0, and definitions in NumPy.
const golden = new Golden('metrics')
const wrapped = (name: string) => Tensor.wrap<'float32'>(tensor(golden.get(name)))
const WIDTH = 12

/** Moments of a golden's rows [first, end) in batches of the given size. */
async function moments(name: string, end: number, batch = 7): Promise<Moments> {
  const rows = wrapped(name)
  const found = await Moments.create(WIDTH, device)
  for (let at = 0; at < end; at += batch) await found.add(rows.slice(at, Math.min(end, at + batch)))
  return found
}

const gaussian = async (name: string, end: number): Promise<Gaussian> => (await moments(name, end)).gaussian()

test("SSIM agrees with scikit-image's in Wang's convention", async () => {
  const images = (name: string) => Tensor.wrap<'uint8'>(tensor(golden.get(name)))
  const values = await ssim(images('ssim.a'), images('ssim.b'))
  expect(absoluteError(values, golden.floats('ssim'))).toBeLessThan(1e-6)
  expect(await ssim(images('ssim.a'), images('ssim.a'))).toEqual([1, 1, 1])
})

test('SSIM refuses images smaller than its window or of different sizes', async () => {
  const image = (side: number) => facade(new Uint8Array(side * side * 3), [1, side, side, 3])
  await expect(ssim(image(8), image(8))).rejects.toThrow('of at least 11 × 11 pixels')
  await expect(ssim(image(12), image(16))).rejects.toThrow('images [B, H, W, 3]')
})

test('the Fréchet distance agrees with pytorch-fid', async () => {
  const found = await frechetDistance(await gaussian('real', 60), await gaussian('generated', 45))
  expect(Math.abs(found / golden.scalar('frechet') - 1)).toBeLessThan(1e-6)
})

test('the Fréchet distance agrees with pytorch-fid for fewer rows than dimensions, and is 0 of the same', async () => {
  const a = await gaussian('real', 7)
  const found = await frechetDistance(a, await gaussian('generated', 9))
  expect(Math.abs(found / golden.scalar('frechet.deficient') - 1)).toBeLessThan(1e-3)
  expect(Math.abs(await frechetDistance(a, a))).toBeLessThan(1e-9)
})

test('moments do not depend on batches, and can be merged and resumed', async () => {
  const whole = await moments('real', 60, 60)
  const parts = await moments('real', 20, 20)
  const rest = await Moments.create(WIDTH, device)
  await rest.add(wrapped('real').slice(20, 60))
  await parts.merge(rest)
  const state = await parts.state('')
  const again = await Moments.create(WIDTH, device)
  const values = (name: string) => state[name]?.data as Float64Array
  await again.load({ count: values('count'), mean: values('mean'), scatter: values('scatter') })
  expect(await again.count()).toBe(60)
  const [a, b] = [await whole.gaussian(), await again.gaussian()]
  expect(relativeError(await b.mean.data(), await a.mean.data())).toBeLessThan(1e-14)
  expect(relativeError(await b.covariance.data(), await a.covariance.data())).toBeLessThan(1e-14)
})

test('a covariance of one row is refused', async () => {
  await expect((await moments('real', 1)).gaussian()).rejects.toThrow('needs at least 2 images, but there are 1')
})

test('precision and recall agree with brute force, whatever the block', async () => {
  const expected = { precision: golden.scalar('precision'), recall: golden.scalar('recall') }
  for (const block of [512, 13]) {
    const found = await precisionRecall(wrapped('real'), wrapped('generated'), { block })
    expect(found.precision).toBeCloseTo(expected.precision, 6)
    expect(found.recall).toBeCloseTo(expected.recall, 6)
  }
  expect(expected.precision).toBeGreaterThan(0.1)
  expect(expected.precision).toBeLessThan(0.9)
})

test('precision and recall report too few images and an abort', async () => {
  const real = wrapped('real')
  await expect(precisionRecall(real, real.slice(0, 3))).rejects.toThrow('features of more than 3 images')
  await expect(precisionRecall(real, real, { k: 0 })).rejects.toThrow(RangeError)
  const signal = AbortSignal.abort()
  await expect(precisionRecall(real, real, { signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
})

test("the Inception score has ADM's splits and can be resumed", () => {
  const predictions = golden.floats('predictions')
  const score = new InceptionScore(6, 15)
  score.add(predictions.subarray(0, 6 * 19))
  const again = new InceptionScore(6, 15)
  again.load(score.state().data)
  again.add(predictions.subarray(6 * 19))
  expect(Math.abs(again.result() / golden.scalar('score') - 1)).toBeLessThan(1e-6)
  expect(new InceptionScore(6).result()).toBeNaN()
})

test('principal components are those of the covariance, largest first', async () => {
  const points = native().tensor(golden.floats('real'), 'float32', [1, 60, WIDTH], device)
  const { axes, deviations, scores, mean } = await native().principalComponents(points, 3)
  const [axis, deviation, score, centre] = [
    await floats(axes),
    await floats(deviations),
    await floats(scores),
    await floats(mean)
  ]
  const { covariance } = await gaussian('real', 60)
  const matrix = await covariance.data()
  for (let k = 0; k < 3; k++) {
    const unit = axis.subarray(k * WIDTH, (k + 1) * WIDTH)
    // Σ v = λ v, λ the variance of the scores, which are projections.
    const image = unit.map((_, i) => unit.reduce((sum, value, j) => sum + (matrix[i * WIDTH + j] as number) * value, 0))
    const variance = (deviation[k] as number) ** 2
    expect(
      relativeError(
        image,
        unit.map((value) => value * variance)
      )
    ).toBeLessThan(1e-4)
    const first = golden.floats('real').subarray(0, WIDTH)
    const projected = unit.reduce((sum, value, j) => sum + value * ((first[j] as number) - (centre[j] as number)), 0)
    expect(score[k]).toBeCloseTo(projected, 4)
  }
  expect([...deviation]).toEqual([...deviation].sort((a, b) => b - a))
})

test('refuses wrong shapes and names the argument', async () => {
  const found = await Moments.create(WIDTH, device)
  await expect(found.add(facade(new Float32Array(4), [2, 2]))).rejects.toThrow('rows')
  const points = native().tensor(new Float32Array(4), 'float32', [1, 2, 2], device)
  expect(() => native().principalComponents(points, 3)).toThrow('count')
})

test("the kernel distance agrees with torch-fidelity's, of all rows and of a subset", async () => {
  const [real, generated] = [wrapped('kernel.real'), wrapped('kernel.generated')]
  const { distance, deviation } = await kernelDistance(real, generated)
  expect(Math.abs(distance / golden.scalar('kernel') - 1)).toBeLessThan(1e-5)
  expect(deviation).toBe(0)
  const rows = tensor(golden.get('kernel.rows'))
  const subset = await native().kernelDistance(real.native, generated.native, rows, rows)
  expect(Math.abs(subset / golden.scalar('kernel.subset') - 1)).toBeLessThan(1e-5)
})

test('the kernel distance averages subsets, which depend on the seed alone, and may be below zero', async () => {
  const [real, generated] = [wrapped('kernel.real'), wrapped('kernel.generated')]
  const options = { subsets: 40, size: 20 }
  const { distance, deviation } = await kernelDistance(real, generated, options)
  expect(Math.abs(distance - golden.scalar('kernel'))).toBeLessThan(deviation)
  expect(await kernelDistance(real, generated, options)).toEqual({ distance, deviation })
  expect((await kernelDistance(real, generated, { ...options, seed: 1 })).distance).not.toBe(distance)
  expect((await kernelDistance(real, real)).distance).toBeLessThan(0)
  await expect(kernelDistance(real.slice(0, 1), generated)).rejects.toThrow('features of 2 or more images for real')
})

test('mutual information agrees with its definition', async () => {
  const inputs = ['means', 'logvars', 'samples'].map((name) => tensor(golden.get(`information.${name}`)))
  const [means, logvars, samples] = inputs as [(typeof inputs)[0], (typeof inputs)[0], (typeof inputs)[0]]
  const { total, tokens } = await native().mutualInformation(means, logvars, samples)
  expect(Math.abs(total - golden.scalar('information'))).toBeLessThan(1e-6)
  const each = new Float64Array(await tokens.read())
  expect(absoluteError(each, golden.floats('information.tokens'))).toBeLessThan(1e-6)
})
