import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { decode, decodeFast } from '../../lib/data/decode.js'
import { GOLDEN, Golden } from '../support/golden.js'
import { difference, gradient, png, toSharp } from '../support/images.js'

const golden = new Golden('data/images')
const folder = join(GOLDEN, 'data/images')

describe('images are decoded as Pillow 13.0.0 decodes them (test/golden/data/images.py)', () => {
  // Decoders of JPEG may differ in the last bit of the inverse transform; all else is exact.
  test.each(readdirSync(folder))('%s', async (file) => {
    const { data, width, height } = await decode(readFileSync(join(folder, file)))
    const expected = golden.get(`decoded/${file}`)
    expect([height, width, 3]).toEqual(expected.shape)
    expect(difference(data, expected.data as Uint8Array).max).toBeLessThanOrEqual(file.endsWith('.jpg') ? 1 : 0)
  })
})

describe('every format is supported', () => {
  const image = gradient(33, 20, 90)
  const encoders: Record<string, [() => Promise<Buffer>, tolerance: number]> = {
    png: [() => toSharp(image).png().toBuffer(), 0],
    'lossless webp': [() => toSharp(image).webp({ lossless: true }).toBuffer(), 0],
    webp: [() => toSharp(image).webp({ quality: 95 }).toBuffer(), 12],
    tiff: [() => toSharp(image).tiff({ compression: 'lzw' }).toBuffer(), 0],
    jpeg: [() => toSharp(image).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(), 2],
    avif: [() => toSharp(image).avif({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(), 5],
    gif: [() => toSharp(image).gif({ dither: 0 }).toBuffer(), 24]
  }
  test.each(Object.keys(encoders))('%s', async (format) => {
    const [encode, tolerance] = encoders[format] as (typeof encoders)[string]
    const decoded = await decode(await encode())
    expect([decoded.width, decoded.height]).toEqual([33, 20])
    expect(difference(decoded.data, image.data).max).toBeLessThanOrEqual(tolerance)
  })

  test('16-bit colour and grey keep their upper bits', async () => {
    const values = Uint16Array.from({ length: 4 * 3 * 3 }, (_, i) => i * 1800)
    const colour = await sharp(values, { raw: { width: 4, height: 3, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer()
    expect((await sharp(colour).metadata()).depth).toBe('ushort')
    expect([...(await decode(colour)).data]).toEqual([...values].map((value) => value >> 8))

    const greys = values.subarray(0, 12)
    const grey = await sharp(greys, { raw: { width: 4, height: 3, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer()
    expect((await sharp(grey).metadata()).depth).toBe('ushort')
    expect([...(await decode(grey)).data]).toEqual([...greys].flatMap((value) => Array(3).fill(value >> 8)))
  })

  test('the first frame of an animation is read', async () => {
    const frames = await Promise.all([gradient(8, 8, 200), gradient(8, 8, 10)].map(png))
    const animation = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer()
    expect((await sharp(animation).metadata()).pages).toBe(2)
    const { data, height } = await decode(animation)
    expect(height).toBe(8)
    expect(Math.abs((data[2] as number) - 200)).toBeLessThan(24)
  })
})

describe('a file that is not a complete image is an error', () => {
  const whole = async (format: 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff' | 'gif') =>
    toSharp(gradient(64, 64)).toFormat(format).toBuffer()

  test('an empty file', async () => {
    await expect(decode(Buffer.alloc(0))).rejects.toMatchObject({ code: 'ERR_FORMAT', message: 'empty file' })
  })

  test('a text', async () => {
    const reason = { code: 'ERR_FORMAT', message: 'damaged, or not an image' }
    await expect(decode(Buffer.from('not an image'))).rejects.toMatchObject(reason)
    await expect(decodeFast(Buffer.from('not an image'), 8)).rejects.toMatchObject(reason)
  })

  test.each(['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const)('a truncated %s', async (format) => {
    const bytes = await whole(format)
    await expect(decode(bytes.subarray(0, bytes.length * 0.6))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test('bytes after the end of a JPEG are ignored', async () => {
    const bytes = await whole('jpeg')
    const longer = await decode(Buffer.concat([bytes, Buffer.alloc(100, 7)]))
    expect(longer).toEqual(await decode(bytes))
  })
})

test('fast decoding leaves CMYK and alpha to exact decoding', async () => {
  for (const file of ['cmyk.jpg', 'cmyk.tif', 'alpha.png']) {
    const bytes = readFileSync(join(folder, file))
    expect(await decodeFast(bytes, 8)).toEqual(await decode(bytes))
  }
})

test('fast decoding is close to exact decoding', async () => {
  const { data, width, height } = await decodeFast(await png(gradient(300, 200, 50)), 64)
  expect([width, height]).toEqual([64, 64])
  // The middle 200 of 300 columns: red from 50/299 to 249/299 of 255.
  expect(data[0]).toBeGreaterThan(38)
  expect(data[0]).toBeLessThan(50)
  expect(data[2]).toBe(50)
})
