import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { decode, decodeFast } from '../../lib/data/decode.js'
import { readHeader } from '../../lib/data/header.js'
import { GOLDEN, Golden } from '../support/golden.js'
import { difference, gradient, png, toSharp } from '../support/images.js'
import { CASES } from '../support/paths.js'

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

  test.each([
    ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'],
    [
      'an SVG after a declaration',
      '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    ],
    ['a PDF', '%PDF-1.4 and so on'],
    ['a picture of text', 'P3 2 1 255 1 2 3 4 5 6 '],
    ['a matrix', '2 2\n1 2\n3 4\n      ']
  ])('%s, which libvips would read', async (_, text) => {
    const reason = { code: 'ERR_FORMAT', message: 'damaged, or not an image' }
    await expect(decode(Buffer.from(text))).rejects.toMatchObject(reason)
    await expect(decodeFast(Buffer.from(text), 8)).rejects.toMatchObject(reason)
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

describe('transparent pixels of a GIF have the colour that Pillow shows', () => {
  test('as in a file of a user', async () => {
    const { data } = await decode(readFileSync(join(CASES, 'transparent.gif')))
    expect([...data.subarray(0, 3)]).toEqual([255, 255, 255])
    // Pillow 13.0.0: hashlib.sha256(Image.open(file).convert('RGB').tobytes())
    const expected = '7ab417a4fb2a5dd86cea792d5f1605636dc9fa40cd03b1b504361ae5482ba761'
    expect(createHash('sha256').update(data).digest('hex')).toBe(expected)
  })

  test('and so does what a frame smaller than the image leaves out', async () => {
    // Written by Pillow 13.0.0: palette blue, green, yellow, red (transparent); the frame of 2 × 2 was moved to 1, 1.
    const hex =
      '474946383961040004008100000000ff00ff00ffff00ff0000' +
      '21f90401000003002c010001000200020000080700010410302020003b'
    const red = [255, 0, 0]
    const expected = Array.from({ length: 16 }, () => red)
    expected.splice(5, 2, [0, 0, 255], [0, 255, 0])
    expected.splice(9, 1, [255, 255, 0])
    expect([...(await decode(Buffer.from(hex, 'hex'))).data]).toEqual(expected.flat())
  })
})

describe('an image of more pixels than allowed', () => {
  const wide = readFileSync(join(CASES, 'wide-7293736x36.png'))
  const reason = { code: 'ERR_FORMAT', message: '7293736 × 36 pixels, more than 64000000' }

  test('is refused before any are decoded', async () => {
    await expect(decode(wide)).rejects.toMatchObject(reason)
    await expect(decodeFast(wide, 256)).rejects.toMatchObject(reason)
    await expect(decode(await png(gradient(8, 8)), { maxPixels: 63 })).rejects.toThrow('8 × 8 pixels, more than 63')
  })

  test('is not made by enlarging a narrow one', async () => {
    const narrow = await png(gradient(9000, 2))
    const { width, height } = await decodeFast(narrow, 256, { maxPixels: 18_000 })
    expect([width, height]).toEqual([9000, 2])
  })
})

test('the reason of a damaged image depends on its file alone, not on others decoded with it', async () => {
  const jpeg = await toSharp(gradient(64, 64)).jpeg().toBuffer()
  const whole = await png(gradient(64, 64))
  const damaged = [jpeg.subarray(0, jpeg.length * 0.6), whole.subarray(0, whole.length * 0.6)]
  const reasons = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      decode(damaged[i % 2] as Buffer).catch(({ message }: Error) => `${i % 2} ${message}`)
    )
  )
  expect([...new Set(reasons)]).toEqual(['0 damaged or cut short (jpeg)', '1 damaged or cut short (png)'])
})

test('orientation in EXIF is applied, or ignored on request', async () => {
  const turned = readFileSync(join(folder, 'orientation-6.jpg'))
  const [applied, stored] = [await decode(turned), await decode(turned, { orientation: 'ignore' })]
  expect([stored.width, stored.height]).toEqual([applied.height, applied.width])
  const { data } = await sharp(turned).raw().toBuffer({ resolveWithObject: true })
  expect(Buffer.from(stored.data).equals(data)).toBe(true)
  const fast = await decodeFast(turned, 8, { orientation: 'ignore' })
  expect(difference(fast.data, (await decodeFast(turned, 8)).data).max).toBeGreaterThan(0)
})

test('headers of PNG and JPEG are read as libvips reads them, and others left to it', async () => {
  for (const file of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, file))
    const { width, height, format, space } = await sharp(bytes).metadata()
    const isOurs = (format === 'png' || format === 'jpeg') && space !== 'cmyk'
    expect([file, readHeader(bytes)]).toEqual([file, isOurs ? { width, height, format } : null])
  }
  for (const hex of ['', 'ff', 'ffd8', 'ffd8ffe00000ffe00000ffe00000', 'ffd8ffc0000000000000000000']) {
    expect(readHeader(Buffer.from(hex, 'hex'))).toBeNull()
  }
})
