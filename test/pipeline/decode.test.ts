import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { manifestFile, readManifest } from '../../lib/latents/manifest.js'
import { decodeShards } from '../../lib/pipeline/decode.js'
import { encodeImages } from '../../lib/pipeline/encode.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { gradient, png, Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { testWhere } from '../support/paths.js'

const place = new Workplace()
let tokenizer: Tokenizer
beforeAll(async () => {
  tokenizer = await Tokenizer.create('tiny-32', { device })
})
afterAll(() => tokenizer.dispose())

/** Encodes a folder of these files, of which none needs to be what its extension says. */
async function encoded(name: string, files: readonly string[]): Promise<string> {
  for (const [i, file] of files.entries()) await place.write(`${name}/${file}`, await png(gradient(32, 32, 20 * i)))
  await encodeImages(tokenizer, place.path(name), place.path(`${name}-latents`))
  return place.path(`${name}-latents`)
}

test('decoded images have unique names, the same whichever part of them is decoded', async () => {
  const latents = await encoded('alike', ['a.jpg', 'a.jpg.webp', 'a.png', 'b.jpg'])
  const names = ['a.jpg.png', 'a.jpg.webp.png', 'a.png.png', 'b.png']
  await decodeShards(tokenizer, latents, place.path('all'))
  expect(readdirSync(place.path('all'))).toEqual(names)
  for (const start of [2, 0, 3, 1]) {
    await decodeShards(tokenizer, latents, place.path('parts'), { start, end: start + 1 })
  }
  expect(readdirSync(place.path('parts'))).toEqual(names)
  for (const name of names) {
    expect(readFileSync(place.path(`parts/${name}`)).equals(readFileSync(place.path(`all/${name}`)))).toBe(true)
  }
})

const testWithCase = testWhere(
  process.platform === 'linux',
  'names that differ in case alone, which most Linux file systems have'
)

testWithCase('decoded images have names that differ in more than their case, and are no folders', async () => {
  const files = ['A.png', 'B.JPG', 'B.jpg', 'a.jpg', 'b-1.jpg', 'c.jpg', 'c.png/1.jpg', 'É.jpg', 'E\u0301.jpg']
  const latents = await encoded(
    'case',
    files.map((name) => `all/${name}`)
  )
  await decodeShards(tokenizer, latents, place.path('case-out'))
  const names = readdirSync(place.path('case-out'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(place.path('case-out/all'), join(parentPath, name)))
  expect(names).toHaveLength(files.length)
  expect(new Set(names.map((name) => name.normalize('NFC').toLowerCase())).size).toBe(files.length)
  expect(names).toEqual(expect.arrayContaining(['A.png.png', 'a.jpg.png', 'b-1.png', 'c.png/1.png']))
  for (const start of [3, 1, 2]) {
    await decodeShards(tokenizer, latents, place.path('case-parts'), { start, end: start + 1 })
  }
  for (const name of readdirSync(place.path('case-parts/all'))) expect(names).toContain(name)
})

test('decoding overwrites files only with force, and never the encoded images', async () => {
  const latents = await encoded('photos', ['a.png', 'b.png', 'c.png'])
  const out = await place.write('out/b.png', 'mine')
  await expect(decodeShards(tokenizer, latents, place.path('out'))).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: `${out} exists: choose another folder, or set force to overwrite what is there`
  })
  expect(readdirSync(place.path('out'))).toEqual(['b.png'])
  await decodeShards(tokenizer, latents, place.path('out'), { force: true })
  expect(readdirSync(place.path('out'))).toEqual(['a.png', 'b.png', 'c.png'])

  const before = readFileSync(place.path('photos/a.png'))
  await expect(decodeShards(tokenizer, latents, place.path('photos'))).rejects.toThrow(/exists, and so do 2 others/)
  await expect(decodeShards(tokenizer, latents, place.path('photos'), { force: true })).rejects.toThrow(
    /photos\/a\.png is one of the encoded images: choose another folder/
  )
  expect(readFileSync(place.path('photos/a.png')).equals(before)).toBe(true)
})

test('names in a manifest that lead out of the folder are refused before anything is written', async () => {
  const latents = await encoded('honest', ['a.png', 'b.png'])
  const manifest = (await readManifest(latents)) as NonNullable<Awaited<ReturnType<typeof readManifest>>>
  const [shard] = manifest.shards as [(typeof manifest.shards)[number]]
  for (const name of ['../../escaped.png', place.path('absolute.png')]) {
    shard.names[1] = name
    writeFileSync(`${latents}/${manifestFile}`, JSON.stringify(manifest))
    await expect(decodeShards(tokenizer, latents, place.path('contained/deep'))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining(`The name ${JSON.stringify(name)} leads out of`)
    })
  }
  for (const name of ['contained', 'escaped.png', 'absolute.png']) expect(existsSync(place.path(name))).toBe(false)
})
