import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { centreCrop, mirrorPixels } from '../../lib/data/crop.js'
import {
  type EvaluationBatch,
  type EvaluationBatchOptions,
  evaluationBatches
} from '../../lib/data/evaluation-batches.js'
import type { ImageSet } from '../../lib/data/image-set.js'
import { difference, gradient, memorySet, png } from '../support/images.js'

let files: Buffer[]
const images = Array.from({ length: 7 }, (_, i) => gradient(60 + i, 40, i * 30))
beforeAll(async () => {
  files = await Promise.all(images.map(png))
})

async function all(set: ImageSet, changes: Partial<EvaluationBatchOptions> = {}): Promise<EvaluationBatch[]> {
  const batches: EvaluationBatch[] = []
  for await (const batch of evaluationBatches(set, { size: 16, batch: 3, ...changes })) batches.push(batch)
  return batches
}

async function crops(indices: number[]): Promise<Uint8Array> {
  const cropped = new Uint8Array(indices.length * 768)
  for (const [row, index] of indices.entries()) {
    await centreCrop(images[index] as (typeof images)[0], 16, cropped.subarray(row * 768, (row + 1) * 768))
  }
  return cropped
}

test('every image comes once, in listing order, as its centre crop', async () => {
  const batches = await all(memorySet(files))
  expect(batches.map(({ indices }) => [...indices])).toEqual([[0, 1, 2], [3, 4, 5], [6]])
  expect(batches.map(({ names }) => names)[2]).toEqual(['6.png'])
  expect(batches.map(({ labels }) => [...labels])[1]).toEqual([0, 1, 2])
  for (const { images, indices, flipped } of batches) {
    expect(images).toEqual(await crops([...indices]))
    expect(flipped).toBeNull()
  }
})

test('a range of images can be selected', async () => {
  const batches = await all(memorySet(files), { start: 2, end: 6 })
  expect(batches.map(({ indices }) => [...indices])).toEqual([[2, 3, 4], [5]])
  expect(await all(memorySet(files), { start: 7 })).toEqual([])
})

test('mirrored images come along, with each file read once', async () => {
  const set = memorySet(files)
  const batches = await all(set, { flip: 'both' })
  for (const { images, flipped } of batches) expect(flipped).toEqual(mirrorPixels(images, 16))
  expect([...set.reads].sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
})

test('fast preprocessing is close to the exact one', async () => {
  const [exact] = await all(memorySet(files))
  const [fast] = await all(memorySet(files), { preprocess: 'fast' })
  expect(difference(exact?.images as Uint8Array, fast?.images as Uint8Array).mean).toBeLessThan(2)
})

describe('unreadable images', () => {
  const broken = () => memorySet(files.map((file, i) => ([1, 3, 4, 5].includes(i) ? file.subarray(0, 40) : file)))

  test('are skipped and reported by name, and nothing else is lost', async () => {
    const onBroken = jest.fn()
    const batches = await all(broken(), { onBroken, flip: 'both' })
    expect(batches.map(({ indices }) => [...indices])).toEqual([[0, 2], [6]])
    expect(batches[0]?.images).toEqual(await crops([0, 2]))
    expect(batches[0]?.flipped).toEqual(mirrorPixels(await crops([0, 2]), 16))
    expect(batches[0]?.names).toEqual(['0.png', '2.png'])
    expect(onBroken.mock.calls.map(([call]) => (call as { name: string }).name).sort()).toEqual([
      '1.png',
      '3.png',
      '4.png',
      '5.png'
    ])
  })

  test('fail in strict mode, after the images before them', async () => {
    const seen: number[] = []
    const run = async () => {
      for await (const { indices } of evaluationBatches(broken(), { size: 16, batch: 1, strict: true }))
        seen.push(...indices)
    }
    await expect(run()).rejects.toMatchObject({ code: 'ERR_FORMAT', message: /1\.png in memory/ })
    expect(seen).toEqual([0])
  })
})

test('wrong arguments are rejected', () => {
  const start = (changes: Partial<EvaluationBatchOptions>) => () =>
    evaluationBatches(memorySet(files), { size: 16, batch: 2, ...changes })
  expect(start({ preprocess: 'slow' as never })).toThrow("Expected one of adm, fast for preprocess but received 'slow'")
  expect(start({ flip: true as never })).toThrow('Expected one of none, both for flip')
  expect(start({ end: 8 })).toThrow('Expected a range within the 7 images for start and end')
  expect(start({ start: 3, end: 2 })).toThrow(RangeError)
})
