import { setTimeout } from 'node:timers/promises'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ImageSet } from '../../lib/data/image-set.js'
import { permutation, sampleOrder } from '../../lib/data/shuffle.js'
import { type TrainBatch, type TrainBatchOptions, trainBatches } from '../../lib/data/train-batches.js'
import { addon } from '../../lib/native/load.js'
import { gradient, memorySet, png } from '../support/images.js'

let files: Buffer[]
beforeAll(async () => {
  files = await Promise.all(Array.from({ length: 10 }, (_, i) => png(gradient(24 + i, 20, i * 20))))
})

const options = (changes: Partial<TrainBatchOptions> = {}): TrainBatchOptions => ({
  size: 16,
  batch: 4,
  seed: 5,
  uniform: addon().uniform,
  ...changes
})

async function take(set: ImageSet, count: number, changes: Partial<TrainBatchOptions> = {}): Promise<TrainBatch[]> {
  const batches: TrainBatch[] = []
  for await (const batch of trainBatches(set, options(changes))) {
    batches.push(batch)
    if (batches.length === count) break
  }
  return batches
}

const content = ({ step, images, labels, indices }: TrainBatch) => ({ step, images, labels, indices })

describe('order', () => {
  test('is a different permutation in every epoch', () => {
    const at = sampleOrder(addon().uniform, 1, 100)
    const epochs = [0, 1, 2].map((epoch) => Array.from({ length: 100 }, (_, i) => at(epoch * 100 + i)))
    for (const epoch of epochs) {
      expect(epoch).not.toEqual([...Array(100).keys()])
      expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(100).keys()])
    }
    expect(epochs[0]).not.toEqual(epochs[1])
  })

  test('is the argsort of the draws, ties by index', () => {
    const draws = [0.5, 0.25, 0.999, 0.25, 0]
    expect([...permutation(() => Float32Array.from(draws), 0, 'shuffle', 0, 5)]).toEqual([4, 1, 3, 0, 2])
  })

  test('shows every image once per epoch, with batches that span two epochs', async () => {
    const batches = await take(memorySet(files), 5)
    const seen = batches.flatMap(({ indices }) => [...indices])
    expect(seen.slice(0, 10).sort((a, b) => a - b)).toEqual([...Array(10).keys()])
    expect(seen.slice(10).sort((a, b) => a - b)).toEqual([...Array(10).keys()])
    expect(batches.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4])
    for (const { indices, labels } of batches) expect([...labels]).toEqual([...indices].map((index) => index % 3))
  })
})

describe('batches are a function of the seed and the step', () => {
  test('whatever the concurrency, prefetch and cache', async () => {
    const batches = (await take(memorySet(files), 6)).map(content)
    expect((await take(memorySet(files), 6)).map(content)).toEqual(batches)
    const otherwise = { concurrency: 1, prefetch: 0, cacheBytes: 0 }
    expect((await take(memorySet(files), 6, otherwise)).map(content)).toEqual(batches)
  })

  test('when started at any step', async () => {
    const batches = (await take(memorySet(files), 6)).map(content)
    expect((await take(memorySet(files), 2, { startStep: 4 })).map(content)).toEqual(batches.slice(4))
  })

  test('so they differ with the seed', async () => {
    const [a] = await take(memorySet(files), 1)
    const [b] = await take(memorySet(files), 1, { seed: 6 })
    expect(a?.images).not.toEqual(b?.images)
  })

  test('also when buffers are released and reused', async () => {
    const expected = (await take(memorySet(files), 8)).map(({ images }) => images)
    const seen = new Set<ArrayBufferLike>()
    for await (const { step, images, release } of trainBatches(memorySet(files), options())) {
      expect(images).toEqual(expected[step])
      seen.add(images.buffer)
      release()
      release()
      if (step === 7) break
    }
    expect(seen.size).toBeLessThan(8)
  })
})

test('crops are random and half of them mirrored', async () => {
  const set = memorySet(files.slice(0, 1))
  const [batch] = await take(set, 1, { batch: 400, minScale: 0.5 })
  const pixels = 16 * 16 * 3
  const rows = Array.from({ length: 400 }, (_, i) => batch?.images.subarray(i * pixels, (i + 1) * pixels) as Uint8Array)
  const mirrored = rows.filter((row) => (row[0] as number) > (row[15 * 3] as number)).length
  // 400 coins: 200 ± 10; five standard deviations
  expect(Math.abs(mirrored - 200)).toBeLessThan(50)
  expect(new Set(rows.map((row) => Buffer.from(row).toString('base64'))).size).toBeGreaterThan(150)
  const [still] = await take(set, 1, { batch: 20, flip: false, minScale: 1 })
  for (let i = 0; i < 20; i++) {
    const at = i * pixels
    expect(still?.images[at]).toBeLessThan(still?.images[at + 15 * 3] as number)
  }
})

describe('the cache of decoded images', () => {
  test('saves reading them again', async () => {
    const set = memorySet(files)
    await take(set, 10)
    expect([...set.reads].sort()).toEqual([...Array(10).keys()])
  })

  test('respects its limit', async () => {
    const set = memorySet(files)
    // Room for two to three of the ten images of 24…33 × 20 × 3 bytes.
    await take(set, 10, { cacheBytes: 5000, prefetch: 0 })
    const once = [...Array(10).keys()].filter((index) => set.reads.filter((read) => read === index).length === 1)
    expect(once.length).toBeGreaterThanOrEqual(2)
    expect(once.length).toBeLessThanOrEqual(3)
  })
})

describe('an unreadable image', () => {
  const broken = () => memorySet([...files.slice(0, 3), Buffer.from('text'), ...files.slice(4, 7), Buffer.alloc(0)])

  test('is always replaced by the same one, and reported once', async () => {
    const onBroken = jest.fn()
    const batches = (await take(broken(), 8, { onBroken })).map(content)
    expect(
      onBroken.mock.calls
        .map(([call]) => call)
        .sort((a, b) => ((a as { name: string }).name < (b as { name: string }).name ? -1 : 1))
    ).toEqual([
      { name: '3.png', reason: 'damaged, or not an image' },
      { name: '7.png', reason: 'empty file' }
    ])
    const indices = batches.flatMap((batch) => [...batch.indices])
    expect(indices).toHaveLength(32)
    expect(indices).not.toContain(3)
    expect(indices).not.toContain(7)
    expect((await take(broken(), 2, { onBroken, startStep: 6, cacheBytes: 0 })).map(content)).toEqual(batches.slice(6))
  })

  test('is an error in strict mode, when its batch is due', async () => {
    const failing = take(broken(), 8, { strict: true })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_FORMAT', message: /[37]\.png in memory: (damaged|empty)/ })
  })

  test('is one that cannot be opened, but not because storage fails or the process ran out of file handles', async () => {
    const failing = (code: string): ImageSet => ({
      ...memorySet(files),
      read: async (index) => {
        if (index === 2) throw Object.assign(new Error(code), { code })
        return files[index] as Buffer
      }
    })
    const onBroken = jest.fn()
    await take(failing('ENOENT'), 5, { onBroken })
    expect(onBroken).toHaveBeenCalledWith({ name: '2.png', reason: 'cannot be read (ENOENT)' })
    await expect(take(failing('EMFILE'), 5)).rejects.toThrow('EMFILE')
    // What storage cannot read now is there the next time.
    await expect(take(failing('ESTALE'), 5)).rejects.toThrow('2.png in memory: cannot be read (ESTALE)')
  })

  test('is an error when there are no others', async () => {
    const onBroken = () => {}
    await expect(take(memorySet([Buffer.alloc(0), Buffer.alloc(0)]), 1, { onBroken })).rejects.toThrow(
      /all of them unreadable/
    )
  })
})

test('leaving the loop stops all work', async () => {
  const set = memorySet(files)
  await take(set, 1, { cacheBytes: 0 })
  const reads = set.reads.length
  await setTimeout(50)
  expect(set.reads).toHaveLength(reads)
})

test('wrong arguments are rejected', () => {
  const start = (changes: Partial<TrainBatchOptions>) => () => trainBatches(memorySet(files), options(changes))
  expect(start({ size: 0 })).toThrow('Expected a positive integer for size but received 0')
  expect(start({ batch: 1.5 })).toThrow(RangeError)
  expect(start({ batch: '4' as never })).toThrow(TypeError)
  expect(start({ seed: -1 })).toThrow('Expected a non-negative integer for seed but received -1')
  expect(start({ startStep: -1 })).toThrow('startStep')
  expect(start({ minScale: 0 })).toThrow('Expected a number in (0, 1] for minScale but received 0')
  expect(start({ uniform: undefined as never })).toThrow('Expected a function for uniform')
  expect(start({ prefetch: -1 })).toThrow('prefetch')
  expect(() => trainBatches(memorySet([]), options())).toThrow('Expected one or more images for set but received 0')
})
