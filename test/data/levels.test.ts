import { expect, test } from '@jest/globals'
import { sliceImages, toImages } from '../../lib/data/levels.js'

test('planes are interleaved to pixels', () => {
  // Two images of 1 × 2 pixels: red, green and blue planes.
  const values = Float32Array.from([-1, 1, 0, 0, 1, -1, ...Array(6).fill(-1)])
  expect(toImages(values, [2, 3, 1, 2])).toEqual([
    { data: Uint8Array.from([0, 128, 255, 255, 128, 0]), width: 2, height: 1 },
    { data: new Uint8Array(6), width: 2, height: 1 }
  ])
})

test('a batch is split into images', () => {
  const batch = Uint8Array.from({ length: 24 }, (_, i) => i)
  const images = sliceImages(batch, 2)
  expect(images.map(({ data }) => data[0])).toEqual([0, 12])
})
