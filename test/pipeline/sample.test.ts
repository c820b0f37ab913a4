import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { Generator } from '../../lib/generator/generator.js'
import { sampleImages } from '../../lib/pipeline/sample.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { testWhere } from '../support/paths.js'

const place = new Workplace()
const raw = async (file: string) => sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
let generator: Generator
let tokenizer: Tokenizer

beforeAll(async () => {
  generator = await Generator.create({ width: 16, depth: 1, heads: 2, latentShape: [32, 16], classes: 3 }, { device })
  tokenizer = await Tokenizer.create('tiny-32', { device })
})
afterAll(() => {
  for (const model of [generator, tokenizer]) model.dispose()
})

describe('samples as images', () => {
  test('are written one by one, as a grid and as an archive, and are the same in all', async () => {
    const [folder, grid, npz] = ['samples', 'grids/all.png', 'all.npz'].map((name) => place.path(name))
    const result = await sampleImages(generator, tokenizer, {
      folder,
      grid,
      npz,
      count: 5,
      classes: [2, 0],
      steps: 2,
      batch: 2
    } as Parameters<typeof sampleImages>[2])
    expect(result).toEqual({ images: 5, interrupted: false, labels: { 0: 2, 2: 3 } })
    expect(readdirSync(folder as string)).toEqual(Array.from({ length: 5 }, (_, i) => `00000${i}.png`))
    const { info } = await raw(grid as string)
    expect([info.width, info.height]).toEqual([2 + 2 * 34, 2 + 3 * 34])

    const bytes = readFileSync(npz as string)
    const start = bytes.indexOf('\n', bytes.indexOf('NUMPY')) + 1
    const images = await Promise.all([0, 4].map(async (i) => (await raw(`${folder}/00000${i}.png`)).data))
    for (const [i, at] of [0, 4].entries()) {
      const stored = bytes.subarray(start + at * 3072, start + (at + 1) * 3072)
      expect(stored.equals(images[i] as Buffer)).toBe(true)
    }
  })

  test('overwrite numbered files only with force, before anything is drawn', async () => {
    const folder = place.path('kept')
    const draw = (options: object) => sampleImages(generator, tokenizer, { folder, steps: 1, ...options })
    await draw({ count: 2 })
    const before = readFileSync(`${folder}/000001.png`)
    await expect(draw({ count: 2, seed: 1, firstIndex: 1 })).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: `${folder}/000001.png exists: choose another folder, continue there by firstIndex (--first-index), or set force to overwrite what is there`
    })
    await draw({ count: 1, seed: 1, firstIndex: 2 })
    expect(readdirSync(folder)).toEqual(['000000.png', '000001.png', '000002.png'])
    expect(readFileSync(`${folder}/000001.png`).equals(before)).toBe(true)
    await draw({ count: 3, seed: 1, force: true })
    expect(readFileSync(`${folder}/000001.png`).equals(before)).toBe(false)
  })

  test('do not depend on the size of the batches', async () => {
    const draw = async (name: string, options: object) => {
      await sampleImages(generator, tokenizer, { folder: place.path(name), steps: 2, seed: 3, ...options })
      const files = readdirSync(place.path(name))
      return Promise.all(
        files.map(async (file) => [file, [...(await raw(`${place.path(name)}/${file}`)).data]] as const)
      )
    }
    const all = await draw('one', { count: 6 })
    const parts = await draw('two', { count: 6, batch: 4 })
    const late = await draw('three', { count: 2, firstIndex: 4 })
    const distance = (a: readonly number[], b: readonly number[]) =>
      Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))))
    expect(parts.map(([name]) => name)).toEqual(all.map(([name]) => name))
    // Rounding to 8 bits may go either way.
    for (const [i, [, image]] of parts.entries()) expect(distance(image, all[i]?.[1] ?? [])).toBeLessThanOrEqual(1)
    expect(late.map(([name]) => name)).toEqual(['000004.png', '000005.png'])
    for (const [i, [, image]] of late.entries()) expect(distance(image, all[i + 4]?.[1] ?? [])).toBeLessThanOrEqual(1)
  })

  test('leave no archive when aborted', async () => {
    const npz = place.path('stopped.npz')
    const signal = AbortSignal.abort()
    const result = await sampleImages(generator, tokenizer, { npz, count: 4, signal })
    expect(result).toMatchObject({ images: 0, interrupted: true })
    expect(existsSync(npz) || existsSync(`${npz}.tmp`)).toBe(false)
  })

  test('of several ranks are the bytes of one, and a rank that is missing is run again', async () => {
    const options = { count: 7, batch: 2, steps: 1, classes: [0, 2], seed: 4 }
    await sampleImages(generator, tokenizer, { npz: place.path('alone.npz'), folder: place.path('alone'), ...options })
    const work = (rank: number, worldSize: number, more = {}) =>
      sampleImages(generator, tokenizer, {
        npz: place.path('shared.npz'),
        ...options,
        ...more,
        ranks: { rank, worldSize, localRank: rank, localSize: worldSize }
      })
    expect(await work(2, 3)).toEqual({ images: 2, interrupted: false, labels: { 0: 1, 2: 1 }, missing: 3 })
    await expect(work(2, 3, { seed: 5 })).rejects.toThrow('has parts of other samples')
    expect(await work(0, 3)).toMatchObject({ images: 3, missing: 1 })
    expect(await work(1, 4)).toMatchObject({ images: 2, missing: 0 })
    expect(readFileSync(place.path('shared.npz')).equals(readFileSync(place.path('alone.npz')))).toBe(true)
    expect(existsSync(place.path('shared.npz.parts'))).toBe(false)

    const folder = place.path('shared')
    for (const rank of [1, 0]) await work(rank, 2, { npz: undefined, folder })
    expect(readdirSync(folder)).toEqual(readdirSync(place.path('alone')))
    for (const file of readdirSync(folder)) {
      expect(readFileSync(`${folder}/${file}`).equals(readFileSync(`${place.path('alone')}/${file}`))).toBe(true)
    }
    await expect(work(0, 2, { grid: place.path('no.png') })).rejects.toThrow('no grid among several ranks')
  })

  test('of a job whose archive another rank has written already are not drawn again', async () => {
    const npz = place.path('resumed.npz')
    const before = null
    const work = (rank: number, more = {}) =>
      sampleImages(generator, tokenizer, {
        npz,
        count: 4,
        batch: 2,
        steps: 1,
        ranks: { rank, worldSize: 2, localRank: rank, localSize: 2 },
        ...more
      })
    await work(0)
    // Killed before it writes the archive.
    const parts = `${npz}.parts`
    cpSync(parts, `${parts}.kept`, { recursive: true })
    await work(1)
    expect(await work(1, { before })).toMatchObject({ images: 0, missing: 0 })
    expect(existsSync(parts)).toBe(false)
    // One that was drawing at that moment.
    cpSync(`${parts}.kept`, parts, { recursive: true })
    expect(await work(0, { before })).toMatchObject({ images: 0, missing: 0 })
    expect(existsSync(parts)).toBe(false)
    expect(await work(0)).toMatchObject({ images: 2, missing: 1 })
  })

  test('a damaged part is removed and drawn again', async () => {
    const npz = place.path('damaged.npz')
    const work = (rank: number) =>
      sampleImages(generator, tokenizer, {
        npz,
        count: 4,
        batch: 2,
        steps: 1,
        ranks: { rank, worldSize: 2, localRank: rank, localSize: 2 }
      })
    await work(0)
    const part = `${npz}.parts/part-000000.bin`
    const bytes = readFileSync(part)
    bytes[5] = (bytes[5] as number) ^ 1
    writeFileSync(part, bytes)
    await expect(work(1)).rejects.toThrow(`${part} was damaged and is removed: run the same command again`)
    expect(await work(0)).toMatchObject({ images: 2, missing: 0 })
    expect(existsSync(npz)).toBe(true)
  })

  test('require something to write to', async () => {
    await expect(sampleImages(generator, tokenizer, {})).rejects.toThrow(/a folder, a grid or an npz file/)
  })
})

const numpy = spawnSync('python3', ['-c', 'import numpy']).status === 0
const testWithNumpy = testWhere(numpy, 'numpy reads the archive (python3 with numpy is not there)')

testWithNumpy('numpy reads the archive', async () => {
  const npz = place.path('numpy.npz')
  await sampleImages(generator, tokenizer, { npz, count: 3, classes: [1], steps: 1 })
  const script = `import numpy as n; f = n.load('${npz}'); print(f['arr_0'].shape, f['arr_0'].dtype, f['arr_1'].tolist())`
  expect(spawnSync('python3', ['-c', script], { encoding: 'utf8' }).stdout.trim()).toBe(
    '(3, 32, 32, 3) uint8 [1, 1, 1]'
  )
})
