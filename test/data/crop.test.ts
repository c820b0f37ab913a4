import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { centreCrop, halve, longestShortSide, mirrorPixels, randomCrop } from '../../lib/data/crop.js'
import { decode, type Image } from '../../lib/data/decode.js'
import { addon } from '../../lib/native/load.js'
import { GOLDEN, Golden } from '../support/golden.js'
import { difference, gradient } from '../support/images.js'
import { DATA, describeWith } from '../support/paths.js'

const golden = new Golden('data/images')

function source(size: string): Image {
  const { shape, data } = golden.get(`source/${size}`)
  const [height, width] = shape as [number, number, number]
  return { data: data as Uint8Array, width, height }
}

async function crop(image: Image, size: number): Promise<Uint8Array> {
  const into = new Uint8Array(size * size * 3)
  await centreCrop(image, size, into)
  return into
}

const named = (kind: string) => [...golden.tensors.keys()].filter((key) => key.startsWith(`${kind}/`))

describe('resampling is Pillow 13.0.0 to the last bit (test/golden/data/images.py)', () => {
  test.each([...named('box'), ...named('bicubic')])('%s', async (key) => {
    const [filter, from, to] = key.split('/') as ['box' | 'bicubic', string, string]
    const { data, width, height } = source(from)
    const [newWidth, newHeight] = to.split('x').map(Number) as [number, number]
    const whole = {
      filter,
      width: newWidth,
      height: newHeight,
      left: 0,
      top: 0,
      windowWidth: newWidth,
      windowHeight: newHeight
    }
    const resized = new Uint8Array(newWidth * newHeight * 3)
    await addon().resample(data, width, height, { ...whole, mirror: false }, resized)
    expect(difference(resized, golden.get(key).data as Uint8Array)).toEqual({ mean: 0, max: 0 })

    // A window is a part of the whole, mirrored or not.
    const part = { left: newWidth >> 2, top: newHeight >> 2, windowWidth: newWidth >> 1, windowHeight: newHeight >> 1 }
    for (const mirror of [false, true]) {
      const window = new Uint8Array(part.windowWidth * part.windowHeight * 3)
      await addon().resample(data, width, height, { ...whole, ...part, mirror }, window)
      const expected = cut(resized, newWidth, part)
      expect(window).toEqual(mirror ? mirrorPixels(expected, part.windowWidth) : expected)
    }
  })

  test.each(named('crop'))('%s: ADM', async (key) => {
    const [, from, size] = key.split('/') as [string, string, string]
    expect(difference(await crop(source(from), Number(size)), golden.get(key).data as Uint8Array)).toEqual({
      mean: 0,
      max: 0
    })
  })

  test('wrong arguments are rejected', () => {
    const target = {
      filter: 'box' as const,
      width: 4,
      height: 4,
      left: 0,
      top: 0,
      windowWidth: 4,
      windowHeight: 4,
      mirror: false
    }
    const image = new Uint8Array(8 * 8 * 3)
    const into = new Uint8Array(4 * 4 * 3)
    expect(() => addon().resample(image, 8, 9, target, into)).toThrow('Expected a Uint8Array of 216 for source')
    expect(() => addon().resample(image, 8, 8, target, image)).toThrow('Expected a Uint8Array of 48 for destination')
    expect(() => addon().resample(image, 8, 8, { ...target, left: 1 }, into)).toThrow(
      'a window inside the scaled image'
    )
    expect(() => addon().resample(image, 8, 0, target, into)).toThrow('height')
  })
})

function cut(
  pixels: Uint8Array,
  width: number,
  part: { left: number; top: number; windowWidth: number; windowHeight: number }
) {
  const rows = Array.from({ length: part.windowHeight }, (_, y) => {
    const start = ((part.top + y) * width + part.left) * 3
    return [...pixels.subarray(start, start + part.windowWidth * 3)]
  })
  return Uint8Array.from(rows.flat())
}

describeWith(join(DATA, 'imagenet'), 'ADM crops of ImageNet files, decoding included', () => {
  const folder = join(GOLDEN, 'data')
  const names = JSON.parse(readFileSync(join(folder, 'imagenet.json'), 'utf8')) as string[]

  // Pillow 13.0.0's crops at 64 px below each other (test/golden/data/images.py).
  test('agree with Pillow', async () => {
    const atlas = await decode(await readFile(join(folder, 'imagenet.png')))
    const bytes = 64 * 64 * 3
    for (const [index, name] of names.entries()) {
      const cropped = await crop(await decode(await readFile(join(DATA, 'imagenet', name))), 64)
      const { mean, max } = difference(cropped, atlas.data.subarray(index * bytes, (index + 1) * bytes))
      expect({ name, near: mean <= 0.3 && max <= 8 }).toEqual({ name, near: true })
    }
  })
})

test.each([
  [32, 32],
  [32, 45],
  [47, 32]
])('a crop of %i × %i whose short side has the right size is what resampling gives', async (width, height) => {
  const image = gradient(width, height, 7)
  const part = { left: (width - 32) >> 1, top: (height - 32) >> 1, windowWidth: 32, windowHeight: 32, mirror: false }
  const resampled = new Uint8Array(32 * 32 * 3)
  await addon().resample(image.data, width, height, { filter: 'bicubic', width, height, ...part }, resampled)
  expect(await crop(image, 32)).toEqual(resampled)
})

describe('random crops', () => {
  const size = 16
  const at = async (scale: number, x: number, y: number, flip = false, minScale = 0.8, image = gradient(61, 40, 7)) => {
    const into = new Uint8Array(size * size * 3)
    await randomCrop(image, size, minScale, { scale, x, y, flip }, into)
    return into
  }

  test('at full scale in the middle equal the centre crop', async () => {
    expect(await at(0, 0.5, 0.5, false, 1)).toEqual(await crop(gradient(61, 40, 7), size))
  })

  test('reach all four borders', async () => {
    const topLeft = await at(0.999, 0, 0)
    const bottomRight = await at(0.999, 0.9999, 0.9999)
    const last = bottomRight.length - 3
    expect([...topLeft.subarray(0, 2)].map((value) => value < 10)).toEqual([true, true])
    expect([...bottomRight.subarray(last, last + 2)].map((value) => value > 245)).toEqual([true, true])
  })

  test('are mirrored on request', async () => {
    expect(await at(0.3, 0.2, 0.7, true)).toEqual(mirrorPixels(await at(0.3, 0.2, 0.7, false), size))
  })

  test('are the same from an image that was halved before', async () => {
    const image = gradient(230, 170, 3)
    const halved = await halve(image, longestShortSide(size, 0.8))
    expect(halved.height).toBe(21)
    expect(await at(0.6, 0.4, 0.1, false, 0.8, halved)).toEqual(await at(0.6, 0.4, 0.1, false, 0.8, image))
  })

  test('show a share of the short side between minScale and all', async () => {
    // Green grows by 255 over the height; a crop that shows a share s of it spans about 255·s.
    const span = (pixels: Uint8Array) => (pixels[pixels.length - 2] as number) - (pixels[1] as number)
    const square = gradient(200, 200)
    expect(span(await at(0, 0, 0, false, 0.25, square)) / 255).toBeCloseTo(15 / 16, 1)
    expect(span(await at(0.9999, 0, 0, false, 0.25, square)) / 255).toBeCloseTo(0.25 * (15 / 16), 1)
    expect(longestShortSide(256, 0.8)).toBe(320)
  })
})
