import { readFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { fromImages, scope, tensor, toImage, toImages, toPng } from '../../lib/index.js'
import { GOLDEN } from '../support/golden.js'
import { gradient, png } from '../support/images.js'
import { device } from '../support/native.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

const images = [gradient(6, 5, 0), gradient(6, 5, 255)]
const floats = (values: number[], shape: number[]) => tensor(Float32Array.from(values), shape, { device })

describe('fromImages', () => {
  test('takes pixels and files to [-1, 1], channels first', async () => {
    using t = await fromImages([images[0] as Anything, await png(images[1] as Anything)], { device })
    expect([t.dtype, t.shape, t.device]).toEqual(['float32', [2, 3, 5, 6], expect.stringContaining(device)])
    const [red, blue] = [await t.at(0, 0).data(), await t.at(1, 2).data()]
    for (const [i, level] of [0, 51, 102, 153, 204, 255].entries()) expect(red[i]).toBeCloseTo(level / 127.5 - 1, 6)
    expect(Array.from(blue)).toEqual(Array(30).fill(1))
  })

  test('gives toImages what it took, all 256 levels', async () => {
    const data = Uint8Array.from({ length: 768 }, (_, i) => i / 3)
    const levels = { data, width: 16, height: 16 }
    using t = await fromImages([levels, levels], { device })
    expect(await toImages(t)).toEqual([levels, levels])
  })

  test.each<[string, unknown, typeof Error, string]>([
    ['nothing', [], TypeError, 'one or more images for images but received []'],
    ['a path', ['a.png'], TypeError, "or the bytes of a file for images[0] but received 'a.png'"],
    ['too few bytes', [{ data: new Uint8Array(5), width: 1, height: 2 }], RangeError, '3 bytes per pixel'],
    [
      'two sizes',
      [images[0], gradient(5, 6)],
      RangeError,
      "6 × 5 pixels as the first one for images[1] but received '5 × 6'"
    ]
  ])('refuses %s', async (_, given, type, message) => {
    await expect(fromImages(given as Anything)).rejects.toThrow(message)
    await expect(fromImages(given as Anything)).rejects.toBeInstanceOf(type)
  })

  test('refuses a file that is no image', () =>
    expect(fromImages([Buffer.from('none')])).rejects.toMatchObject({ code: 'ERR_FORMAT' }))
})

describe('toImages', () => {
  test('rounds to the nearest level, clamps, and makes NaN black', async () => {
    using t = floats([-1, -0.99, 0, 0.004, 1, 1.7, -8, Number.NaN, Infinity, -Infinity, 0.5, 0.996], [1, 3, 2, 2])
    const [image] = await toImages(t)
    // Math.round((value + 1) · 127.5)
    expect([...(image?.data ?? [])]).toEqual([0, 255, 255, 1, 255, 0, 128, 0, 191, 128, 0, 254])
  })

  test('takes bytes, halves, expressions and one image without a batch', async () => {
    await scope(async () => {
      const [first, second] = images as [Anything, Anything]
      const bytes = tensor(Uint8Array.from([...first.data, ...second.data]), [2, 5, 6, 3], { device })
      expect(await toImages(bytes)).toEqual(images)
      expect(await toImage(bytes.at(1))).toEqual(second)
      const t = await fromImages(images, { device })
      expect(await toImage(t.to({ dtype: 'float16' }).at(1))).toEqual(second)
      expect(await toImage(t.at([0, 1]))).toEqual(first)
    })
  })

  test('writes a PNG that decodes to the same photograph', async () => {
    const file = await readFile(`${GOLDEN}astronaut.png`)
    using t = await fromImages([file], { device })
    const pixels = (bytes: Buffer) => sharp(bytes).removeAlpha().raw().toBuffer()
    expect((await pixels(await toPng(t))).equals(await pixels(file))).toBe(true)
  })

  test.each<[string, () => Promise<unknown>, typeof Error, string]>([
    ['no tensor', () => toImages([1] as Anything), TypeError, 'a tensor of floats [B, 3, H, W]'],
    ['integers', () => toImages(tensor(new Int32Array(3), [3, 1, 1])), TypeError, "received 'int32 [3, 1, 1]'"],
    ['one channel', () => toImages(floats([0, 0], [1, 1, 1, 2])), RangeError, "received 'float32 [1, 1, 1, 2]'"],
    ['bytes with channels first', () => toImages(tensor(new Uint8Array(12), [3, 2, 2])), RangeError, 'uint8 [3, 2, 2]'],
    ['two images as one', () => toPng(floats(Array(6).fill(0), [2, 3, 1, 1])), RangeError, 'one image for image']
  ])('refuses %s', async (_, call, type, message) => {
    await expect(call()).rejects.toThrow(message)
    await expect(call()).rejects.toBeInstanceOf(type)
  })
})
