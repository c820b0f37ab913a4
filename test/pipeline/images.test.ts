import { expect, test } from '@jest/globals'
import { sliceImages, toImages } from '../../lib/data/levels.js'
import { maskImage } from '../../lib/pipeline/images.js'

test('planes become interleaved pixels', () => {
  // Two images of 1 × 2 pixels: red, green and blue planes.
  const values = Float32Array.from([-1, 1, 0, 0, 1, -1, ...Array(6).fill(-1)])
  expect(toImages(values, [2, 3, 1, 2])).toEqual([
    { data: Uint8Array.from([0, 128, 255, 255, 128, 0]), width: 2, height: 1 },
    { data: new Uint8Array(6), width: 2, height: 1 }
  ])
})

test('a batch is cut into images', () => {
  const batch = Uint8Array.from({ length: 24 }, (_, i) => i)
  const images = sliceImages(batch, 2)
  expect(images.map(({ data }) => data[0])).toEqual([0, 12])
})

test('masked patches are grey, the original stays', () => {
  const image = { data: new Uint8Array(4 * 4 * 3).fill(7), width: 4, height: 4 }
  const { data } = maskImage(image, [0, 1, 0, 0])
  const red = Array.from({ length: 16 }, (_, i) => data[i * 3])
  expect(red).toEqual([7, 7, 128, 128, 7, 7, 128, 128, 7, 7, 7, 7, 7, 7, 7, 7])
  expect(image.data.every((value) => value === 7)).toBe(true)
})
