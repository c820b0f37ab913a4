import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { evaluationBatches } from '../../lib/data/evaluation-batches.js'
import { subset } from '../../lib/data/image-set.js'
import { imageSource } from '../../lib/data/image-source.js'
import { frechetDistance, type Gaussian } from '../../lib/evaluation/gaussian.js'
import { extractFeatures } from '../../lib/evaluation/image-features.js'
import { ImageStatistics } from '../../lib/evaluation/image-statistics.js'
import { Inception } from '../../lib/evaluation/inception.js'
import type { NativeInception } from '../../lib/native/addon.js'
import { tensor as facade } from '../../lib/tensor/tensor.js'
import { openInception } from '../../lib/weights/inception.js'
import { loadInto, toState } from '../../lib/weights/state.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'
import { DATA, describeWith, WEIGHTS } from '../support/paths.js'

// pytorch-fid 0.3.0 in float64 on photographs, and its FIDs of CIFAR-10's test images (test/golden/inception.py).
const golden = new Golden('inception')
const folder = join(WEIGHTS, 'inception-fid')

describeWith(folder, "FID's Inception agrees with pytorch-fid", () => {
  let inception: NativeInception
  beforeAll(async () => {
    const checkpoint = await openInception(folder)
    expect(checkpoint.classes).toBe(0)
    inception = await native().createInception(0, device)
    await loadInto(inception, checkpoint.weights)
    await checkpoint.close()
  })
  afterAll(() => inception.dispose())

  test('in the features that FID and sFID compare', async () => {
    const { pool, spatial, probabilities } = await inception.features(tensor(golden.get('images')), 'pytorch', 'fp32')
    expect(absoluteError(await floats(pool), golden.floats('pool'))).toBeLessThan(1e-4)
    expect(absoluteError(await floats(spatial), golden.floats('spatial'))).toBeLessThan(1e-4)
    expect(probabilities).toBeNull()
  })

  test("on images that were resized as TensorFlow 1 does, for ADM's statistics", async () => {
    const { pool } = await inception.features(tensor(golden.get('images')), 'tensorflow', 'fp32')
    const values = await floats(pool)
    expect(absoluteError(values, golden.floats('tensorflow.pool'))).toBeLessThan(1e-4)
    expect(absoluteError(values, golden.floats('pool'))).toBeGreaterThan(1e-2)
  })

  test('in bf16 to the precision of bfloat16', async () => {
    const { pool } = await inception.features(tensor(golden.get('images')), 'pytorch', 'bf16')
    expect(relativeError(await floats(pool), golden.floats('pool'))).toBeLessThan(5e-2)
  })

  test('in the probabilities of a classifier, without its bias', async () => {
    const classified = await native().createInception(8, device)
    const checkpoint = await openInception(folder)
    const state = await toState(checkpoint.weights)
    await classified.load({ ...state, 'fc.weight': tensor(golden.get('classifier')) })
    await checkpoint.close()
    const { probabilities } = await classified.features(tensor(golden.get('images')), 'pytorch', 'fp32')
    const found = await floats(probabilities as NonNullable<typeof probabilities>)
    expect(absoluteError(found, golden.floats('probabilities'))).toBeLessThan(1e-4)
    classified.dispose()
  })
})

describeWith(join(DATA, 'cifar10'), "FID of real images agrees with pytorch-fid's", () => {
  /** Statistics of CIFAR-10's test images [first, end). */
  async function statistics(inception: Inception, first: number, end: number): Promise<ImageStatistics> {
    const set = await imageSource(join(DATA, 'cifar10', 'test-00000.tar')).open()
    const names = Array.from({ length: set.size }, (_, i) => ({ i, name: set.sample(i).name }))
    const order = names.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ i }) => i)
    const gathered = await ImageStatistics.create({ inception })
    for await (const { images, indices } of evaluationBatches(subset(set, order.slice(first, end)), {
      ...{ size: 32, batch: 50 }
    })) {
      using input = facade(images, [indices.length, 32, 32, 3], { dtype: 'uint8' })
      await gathered.add(await extractFeatures({ inception }, input))
    }
    await set.close()
    return gathered
  }

  async function fid(count: number): Promise<number> {
    using inception = await Inception.load({ weights: folder, device })
    using a = await statistics(inception, 0, count)
    using b = await statistics(inception, count, 2 * count)
    expect(b.images).toBe(count)
    return frechetDistance((await a.gaussians()).pool as Gaussian, (await b.gaussians()).pool as Gaussian)
  }

  test('with 2 × 50, far fewer than dimensions', async () => {
    expect(Math.abs((await fid(50)) / golden.scalar('fid.50') - 1)).toBeLessThan(1e-3)
  })

  if (process.env.MACTOK_TEST_LONG) {
    test('with 2 × 500', async () => {
      expect(Math.abs((await fid(500)) / golden.scalar('fid.500') - 1)).toBeLessThan(1e-3)
    }, 600_000)
  } else {
    process.stderr.write('skipped: FID of 2 × 500 images, two minutes on two cores (MACTOK_TEST_LONG=1 runs it)\n')
  }
})
