import { createHash } from 'node:crypto'
import { readFile, rename, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readManifest, shardName } from '../../lib/latents/manifest.js'
import { encodeImages } from '../../lib/pipeline/encode.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { gradient, memorySet, png, toSharp, Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { CASES } from '../support/paths.js'

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

test('shards are written again when an image is repaired, replaced or lost, and only then', async () => {
  const photo = (i: number) => png(gradient(32, 32, 20 * i))
  for (let i = 0; i < 6; i++) await place.write(`photos/${i}.png`, i === 1 ? 'damaged' : await photo(i))
  const folder = place.path('photos-latents')
  const encode = () => encodeImages(tokenizer, place.path('photos'), folder, { shardSize: 2, onBroken: () => {} })
  const shards = () => Promise.all([0, 1, 2].map((i) => readFile(join(folder, shardName(i)), 'latin1')))
  const times = () => Promise.all([0, 1, 2].map(async (i) => (await stat(join(folder, shardName(i)))).mtimeMs))

  expect(await encode()).toMatchObject({ images: 5, skipped: 1 })
  const [before, written] = [await shards(), await times()]
  expect(await encode()).toMatchObject({ images: 5, skipped: 1 })
  expect(await times()).toEqual(written)

  // Copied files have other times; their contents decide.
  await utimes(place.path('photos/2.png'), 1e9, 1e9)
  await encode()
  expect(await times()).toEqual(written)

  await place.write('photos/1.png', await photo(1))
  await place.write('photos/4.png', await photo(9))
  expect(await encode()).toMatchObject({ images: 6, skipped: 0 })
  const after = await shards()
  expect(after.map((bytes, i) => bytes === before[i])).toEqual([false, true, false])
  const direct = place.path('direct')
  await encodeImages(tokenizer, place.path('photos'), direct, { shardSize: 2 })
  expect(after).toEqual(await Promise.all([0, 1, 2].map((i) => readFile(join(direct, shardName(i)), 'latin1'))))
})

test('a folder whose images were all broken is encoded once they are repaired', async () => {
  await place.write('all/0.png', 'damaged')
  const encode = () => encodeImages(tokenizer, place.path('all'), place.path('all-latents'), { onBroken: () => {} })
  await expect(encode()).rejects.toThrow('has no samples: all were skipped')
  await place.write('all/0.png', await png(gradient(32, 32)))
  expect(await encode()).toMatchObject({ images: 1, skipped: 0 })
})

test('images skipped for their size are encoded once a larger one is allowed', async () => {
  await place.write('sizes/0.png', await png(gradient(32, 32)))
  await place.write('sizes/1.png', await png(gradient(40, 32)))
  const encode = (maxPixels: number) =>
    encodeImages(tokenizer, place.path('sizes'), place.path('sizes-latents'), { maxPixels, onBroken: () => {} })
  expect(await encode(1024)).toMatchObject({ images: 1, skipped: 1 })
  expect(await encode(1280)).toMatchObject({ images: 2, skipped: 0 })
})

test('a manifest whose records name other files is not followed', async () => {
  await place.write('foreign/0.png', await png(gradient(32, 32)))
  const folder = place.path('foreign-latents')
  await encodeImages(tokenizer, place.path('foreign'), folder)
  const manifest = (await readManifest(folder)) as NonNullable<Awaited<ReturnType<typeof readManifest>>>
  const [record] = manifest.shards
  await rename(join(folder, shardName(0)), place.path('outside.safetensors'))
  const changed = {
    ...manifest,
    shards: [
      { ...record, file: '../outside.safetensors' },
      { ...record, first: 1e9 }
    ]
  }
  await place.write('foreign-latents/manifest.json', JSON.stringify(changed))
  expect(await encodeImages(tokenizer, place.path('foreign'), folder)).toMatchObject({ images: 1, shards: 1 })
  expect((await readManifest(folder))?.shards).toEqual([record])
})

test('images without a label beside labelled ones are an error that names them', async () => {
  await expect(encodeImages(tokenizer, join(CASES, 'mixlab.tar'), place.path('mixed'))).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: expect.stringMatching(
      /^0\.png in .*mixlab\.tar has no label, but 1 of 2 images have one: label all or none$/
    )
  })
})

test('orientation is ignored on request, and recorded', async () => {
  const turned = await toSharp(gradient(32, 32)).withMetadata({ orientation: 6 }).png().toBuffer()
  await place.write('turned/0.png', turned)
  const latents = async (orientation: 'apply' | 'ignore') => {
    const folder = place.path(`turned-${orientation}`)
    await encodeImages(tokenizer, place.path('turned'), folder, { orientation })
    expect((await readManifest(folder))?.plan.settings.orientation).toBe(orientation)
    return readFile(join(folder, shardName(0)), 'latin1')
  }
  expect(await latents('apply')).not.toBe(await latents('ignore'))
})

test('encoding refuses samples and moments at once', async () => {
  const source = { name: 'memory', open: async () => memorySet([]) }
  const both = encodeImages(tokenizer, source, place.path('both'), { sample: true, moments: true })
  await expect(both).rejects.toThrow('Expected false with moments, which store the means that readers sample around')
})

test('encoding refuses what a tokenizer without a posterior does not have, before it claims the folder', async () => {
  using autoencoder = await Tokenizer.create({ ...tokenizer.config, bottleneck: 'ae' }, { device })
  const source = { name: 'memory', open: async () => memorySet([await png(gradient(32, 32))]) }
  const folder = place.path('no-posterior')
  for (const name of ['moments', 'sample']) {
    await expect(encodeImages(autoencoder, source, folder, { [name]: true })).rejects.toThrow(
      `Expected false with this tokenizer, whose bottleneck (ae) has no posterior for ${name} but received true`
    )
  }
  expect(await encodeImages(autoencoder, source, folder)).toMatchObject({ images: 1, interrupted: false })
})
