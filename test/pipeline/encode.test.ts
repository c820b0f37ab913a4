import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readManifest } from '../../lib/latents/manifest.js'
import { encodeImages } from '../../lib/pipeline/encode.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { gradient, memorySet, png, Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const place = new Workplace()
let tokenizer: Tokenizer
beforeAll(async () => {
  tokenizer = await Tokenizer.create('tiny-32', { device })
})
afterAll(() => tokenizer.dispose())

test('encoding reads each file once and records the hashes of the readable ones', async () => {
  const files = await Promise.all(Array.from({ length: 7 }, (_, i) => png(gradient(40 + i, 32, i))))
  files[2] = Buffer.from('no image')
  const set = memorySet(files)
  const folder = place.path('latents')
  const source = { name: 'memory', open: async () => set }
  const result = await encodeImages(tokenizer, source, folder, { batch: 3, shardSize: 4, onBroken: () => {} })
  expect(result).toMatchObject({ images: 6, skipped: 1, shards: 2 })
  expect(set.reads.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6])
  const hashes = (await readManifest(folder))?.shards.flatMap((shard) => shard.hashes)
  const readable = files.filter((_, i) => i !== 2)
  expect(hashes).toEqual(readable.map((file) => createHash('sha256').update(file).digest('hex')))
})

test('encoding refuses samples and moments at once', async () => {
  const source = { name: 'memory', open: async () => memorySet([]) }
  const both = encodeImages(tokenizer, source, place.path('both'), { sample: true, moments: true })
  await expect(both).rejects.toThrow('Expected false with moments, which store the means that readers sample around')
})
