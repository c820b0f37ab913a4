import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, jest, test } from '@jest/globals'
import type { ImageSet } from '../../lib/data/image-set.js'
import { imageSource } from '../../lib/data/image-source.js'
import { parquetImages } from '../../lib/data/parquet.js'
import { serveFiles } from '../support/faulty-server.js'
import { Workplace } from '../support/images.js'

// Written by pyarrow 26.0.1: test/golden/parquet.py.
const golden = fileURLToPath(new URL('../golden/parquet', import.meta.url))
const place = new Workplace()

/** The bytes of image i, as parquet.py makes them. */
const image = (i: number) => `image ${i % 7} `.repeat(1 + (i % 5))
/** Its label: row 3 has none, row 4 −1. */
const label = (i: number) => (i === 3 || i === 4 ? -1 : i % 3)

const labels = (set: ImageSet) => Array.from({ length: set.size }, (_, i) => set.sample(i).label)
const without = Array.from({ length: 11 }, (_, i) => i).filter((i) => i !== 5)

describe('a parquet file of images', () => {
  test.each(['none', 'snappy', 'zstd', 'gzip'])('gives images and labels, compressed with %s', async (codec) => {
    const set = await imageSource(join(golden, `${codec}.parquet`)).open()
    expect(set.size).toBe(11)
    expect(set.classes).toEqual(['cat', 'dog', 'owl'])
    expect(labels(set)).toEqual(Array.from({ length: 11 }, (_, i) => label(i)))
    expect(set.sample(10).name).toBe('000010')
    const read = await Promise.all(without.map(async (i) => String(await set.read(i))))
    expect(read).toEqual(without.map(image))
    await expect(set.read(5)).rejects.toMatchObject({ code: 'ERR_FORMAT', message: 'a row without bytes' })
    await set.close()
  })

  test('whose storage fails is not taken for damaged', async () => {
    const set = await imageSource(join(golden, 'gzip.parquet')).open()
    await using handle = await open(join(golden, 'gzip.parquet'))
    const failure = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', errno: -5, syscall: 'read' })
    const read = jest.spyOn(Object.getPrototypeOf(handle), 'read').mockRejectedValue(failure as never)
    try {
      await expect(set.read(0)).rejects.toBe(failure)
    } finally {
      read.mockRestore()
      await set.close()
    }
  })

  test('may lack labels', async () => {
    const set = await parquetImages(join(golden, 'unlabelled.parquet')).open()
    expect(labels(set)).toEqual([-1, -1, -1, -1, -1, -1])
    expect(String(await set.read(4))).toBe(image(4))
    await set.close()
  })

  test('files of a folder, a pattern or a server follow each other', async () => {
    mkdirSync(place.path('train'))
    for (const [i, codec] of ['zstd', 'snappy'].entries()) {
      copyFileSync(join(golden, `${codec}.parquet`), place.path(`train/train-0000${i}-of-00002.parquet`))
    }
    for (const path of [
      place.path('train'),
      place.path('train/train-*.parquet'),
      place.path('train/train-{00000..00001}-of-00002.parquet')
    ]) {
      const set = await imageSource(path).open()
      expect([set.size, set.sample(11).name]).toEqual([22, 'train-00001-of-00002.parquet/000000'])
      expect(String(await set.read(21))).toBe(image(10))
      await set.close()
    }
    await using server = await serveFiles({ 'a.parquet': readFileSync(join(golden, 'snappy.parquet')) })
    const env = process.env.MACTOK_CACHE
    process.env.MACTOK_CACHE = place.path('cache')
    const set = await imageSource(server.url('a.parquet')).open()
    if (env === undefined) delete process.env.MACTOK_CACHE
    else process.env.MACTOK_CACHE = env
    expect(String(await set.read(10))).toBe(image(10))
    await set.close()
  })
})

describe('errors', () => {
  test.each([
    ['text.parquet', 'has no column image with bytes, only text'],
    ['words.parquet', 'has labels of type BYTE_ARRAY, expected integers']
  ])('%s %s', async (file, message) => {
    await expect(parquetImages(join(golden, file)).open()).rejects.toThrow(`${join(golden, file)} ${message}`)
  })

  test('a file that was cut short, or is no parquet file, is named', async () => {
    const bytes = readFileSync(join(golden, 'snappy.parquet'))
    for (const content of [bytes.subarray(0, -1), bytes.subarray(0, 5), Buffer.alloc(100)]) {
      const file = await place.write('cut.parquet', content)
      await expect(parquetImages(file).open()).rejects.toThrow(`${file} is not a parquet file, or was cut short`)
    }
  })

  test('one that was replaced meanwhile is read anew', async () => {
    const bytes = readFileSync(join(golden, 'snappy.parquet'))
    const file = await place.write('replaced.parquet', bytes.subarray(0, -1))
    await expect(parquetImages(file).open()).rejects.toThrow('was cut short')
    await rename(await place.write('whole.parquet', bytes), file)
    const set = await parquetImages(file).open()
    expect(set.size).toBeGreaterThan(0)
    await set.close()
  })

  test('whatever byte is damaged, images are read or refused as damaged', async () => {
    const bytes = readFileSync(join(golden, 'snappy.parquet'))
    let refused = 0
    for (let at = 0; at < bytes.length; at += 11) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ (1 << (at % 8))
      const file = await place.write('damaged.parquet', changed)
      try {
        const set = await parquetImages(file).open()
        for (let i = 0; i < Math.min(set.size, 20); i++) await set.read(i)
        await set.close()
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_FORMAT' })
        refused++
      }
    }
    expect(refused).toBeGreaterThan(25)
  })
})
