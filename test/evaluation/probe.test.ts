import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { imageFolder } from '../../lib/data/image-folder.js'
import { fitProbe, type LabelledFeatures, ProbeFeatures, probe } from '../../lib/evaluation/probe.js'
import { addon } from '../../lib/native/load.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'

/** Samples start … start + n of four features and three classes. */
function samples(start: number, n: number): LabelledFeatures {
  const labels = Int32Array.from({ length: n }, (_, i) => ((start + i) * 7) % 3)
  const features = Float32Array.from({ length: n * 4 }, (_, at) => {
    const [i, j] = [start + Math.floor(at / 4), at % 4]
    return Math.sin(1.7 * i + 2.3 * j + 0.1 * i * j) * (j + 1) + j + (labels[Math.floor(at / 4)] === j ? 0.9 : 0)
  })
  return { features, labels }
}

describe('a fitted probe', () => {
  test("agrees with scikit-learn's logistic regression", async () => {
    // scikit-learn 1.9.1: StandardScaler, LogisticRegression(C=1/(0.01 * 60), tol=1e-12, max_iter=100000), on these samples.
    const weight = [
      [0.81220784, -0.22871844, -0.05544465, -0.09035645],
      [-0.47730544, 0.50855003, -0.20984879, -0.01955633],
      [-0.3349024, -0.27983158, 0.26529343, 0.10991278]
    ].flat()
    const bias = [-0.08902541, -0.00555467, 0.09458008]
    const fitted = await fitProbe(samples(0, 60), samples(60, 40), { l2: 0.01 })
    for (const [i, value] of weight.entries()) expect(fitted.weight[i]).toBeCloseTo(value, 5)
    for (const [i, value] of bias.entries()) expect(fitted.bias[i]).toBeCloseTo(value, 5)
    expect(fitted.trainingAccuracy).toBeCloseTo(34 / 60, 10)
    expect(fitted.validationAccuracy).toBeCloseTo(19 / 40, 10)
  })

  test('is deterministic to the bit, and ignores constant features and scale', async () => {
    const training = samples(0, 60)
    const [first, second] = [await fitProbe(training, training), await fitProbe(training, training)]
    expect(second).toEqual(first)
    const wider = (row: LabelledFeatures, factor: number): LabelledFeatures => ({
      labels: row.labels,
      features: Float32Array.from({ length: row.labels.length * 5 }, (_, at) =>
        at % 5 === 4 ? 3 : factor * (row.features[Math.floor(at / 5) * 4 + (at % 5)] as number)
      )
    })
    const scaled = await fitProbe(wider(training, 1024), wider(training, 1024))
    expect(scaled.loss).toBeCloseTo(first.loss, 9)
    expect(scaled.trainingAccuracy).toBe(first.trainingAccuracy)
  })

  test('refuses images without classes and features of other lengths', async () => {
    const training = samples(0, 6)
    const one = { features: training.features, labels: new Int32Array(6) }
    await expect(fitProbe(one, one)).rejects.toThrow('Expected two or more classes for labels but received 1')
    await expect(fitProbe({ ...one, labels: new Int32Array(6).fill(-1) }, one)).rejects.toThrow(
      'Expected a class for each image for training labels'
    )
    await expect(fitProbe(training, { ...training, features: new Float32Array(6) })).rejects.toThrow(
      'Expected 4 for each image for validation features but received 1'
    )
    await expect(fitProbe(training, training, { l2: -1 })).rejects.toThrow('Expected at least 0 for l2')
  })
})

/** Writes noise around a brightness. */
async function photo(file: string, level: number, seed: number): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  const noise = addon().uniform(seed, 'test', level, 0, 1, 16 * 16 * 3)
  await writePng(file, { data: Uint8Array.from(noise, (value) => level + value * 40), width: 16, height: 16 })
}

test('latents are averaged over their tokens, or flattened', () => {
  const shape = { latentTokens: 2, latentChannels: 3 }
  const latents = Float32Array.from({ length: 12 }, (_, i) => i)
  const [mean, flatten] = [new ProbeFeatures('mean', shape), new ProbeFeatures('flatten', shape)]
  for (const one of [mean, flatten]) one.add(latents, [4, 5])
  expect(mean.result()).toEqual({
    features: Float32Array.of(1.5, 2.5, 3.5, 7.5, 8.5, 9.5),
    labels: Int32Array.of(4, 5)
  })
  expect(flatten.result()).toEqual({ features: latents, labels: Int32Array.of(4, 5) })
})

test('halves have all classes where they are dealt in turn', async () => {
  const features = new ProbeFeatures('flatten', { latentTokens: 1, latentChannels: 2 })
  const labels = Array.from({ length: 40 }, (_, i) => i % 2)
  features.add(Float32Array.from(labels.flatMap((label) => [label, 1 - label])), labels)
  expect(await features.probeHalves()).toEqual({ probe: 1 })
})

describe('probing a tokenizer', () => {
  const workplace = new Workplace()
  let photos: string
  beforeAll(async () => {
    photos = workplace.path('photos')
    for (const [label, level] of [40, 200].entries()) {
      for (let i = 0; i < 10; i++) await photo(join(photos, `${label}`, `${i}.png`), level, i)
    }
  })
  const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
  const config = { imageSize: 16, patchSize: 8, latentTokens: 4, latentChannels: 3, encoder: vit, decoder: vit }

  test('separates dark images from bright ones', async () => {
    using tokenizer = await Tokenizer.create(config, { device })
    const result = await probe(tokenizer, imageFolder(photos), { features: 'flatten' })
    expect(result).toEqual({
      features: 'flatten',
      dimensions: 12,
      classes: 2,
      training: 16,
      validation: 4,
      trainingAccuracy: 1,
      validationAccuracy: 1
    })
    const others = await probe(tokenizer, imageFolder(photos), { validation: imageFolder(photos), images: 10 })
    expect(others).toMatchObject({ features: 'mean', dimensions: 3, training: 10, validation: 10 })
    // An initial posterior is all noise: what means tell, draws do not.
    const drawn = await probe(tokenizer, imageFolder(photos), { features: 'mean', sample: true, fold: 2 })
    expect(drawn.validationAccuracy).toBeLessThan(0.9)
    expect(await probe(tokenizer, imageFolder(photos), { features: 'mean', sample: true, fold: 2 })).toEqual(drawn)
  })

  test('refuses validation images of which a class has another label', async () => {
    using tokenizer = await Tokenizer.create(config, { device })
    const others = workplace.path('others')
    for (const name of ['1', '2']) await photo(join(others, name, 'a.png'), 40, 0)
    await expect(probe(tokenizer, imageFolder(photos), { validation: imageFolder(others) })).rejects.toThrow(
      `'1' is 1 in ${photos} and 0 in ${others}`
    )
    // Only the first of the classes, and classes of other names.
    for (const names of [['0'], ['dark', 'light']]) {
      const folder = workplace.path(names.join())
      for (const name of names) await photo(join(folder, name, 'a.png'), 40, 0)
      const result = await probe(tokenizer, imageFolder(photos), { validation: imageFolder(folder) })
      expect(result).toMatchObject({ classes: 2, validation: names.length })
    }
  })

  test('refuses images without classes, and features that the model does not have', async () => {
    using tokenizer = await Tokenizer.create(config, { device })
    await expect(probe(tokenizer, imageFolder(join(photos, '0')))).rejects.toThrow('Expected images with classes')
    await expect(probe(tokenizer, imageFolder(photos), { features: 'cls' })).rejects.toThrow(
      "Expected one of mean, flatten for features but received 'cls'"
    )
  })
})
