import { expect, test } from '@jest/globals'
import { maskPicture, slicePictures, toPictures } from '../../lib/pipeline/pictures.js'

test('planes become interleaved pixels', () => {
  // Two pictures of 1 × 2 pixels: red, green and blue planes.
  const values = Float32Array.from([-1, 1, 0, 0, 1, -1, ...Array(6).fill(-1)])
  expect(toPictures(values, [2, 3, 1, 2])).toEqual([
    { data: Uint8Array.from([0, 128, 255, 255, 128, 0]), width: 2, height: 1 },
    { data: new Uint8Array(6), width: 2, height: 1 }
  ])
})

test('a batch is cut into pictures', () => {
  const batch = Uint8Array.from({ length: 24 }, (_, i) => i)
  const pictures = slicePictures(batch, 2)
  expect(pictures.map(({ data }) => data[0])).toEqual([0, 12])
})

test('masked patches are grey, the original stays', () => {
  const picture = { data: new Uint8Array(4 * 4 * 3).fill(7), width: 4, height: 4 }
  const { data } = maskPicture(picture, [0, 1, 0, 0])
  const red = Array.from({ length: 16 }, (_, i) => data[i * 3])
  expect(red).toEqual([7, 7, 128, 128, 7, 7, 128, 128, 7, 7, 7, 7, 7, 7, 7, 7])
  expect(picture.data.every((value) => value === 7)).toBe(true)
})
