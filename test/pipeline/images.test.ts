import { expect, test } from '@jest/globals'
import { maskImage } from '../../lib/pipeline/images.js'

test('masked patches turn grey, and the original stays unchanged', () => {
  const image = { data: new Uint8Array(4 * 4 * 3).fill(7), width: 4, height: 4 }
  const { data } = maskImage(image, [0, 1, 0, 0])
  const red = Array.from({ length: 16 }, (_, i) => data[i * 3])
  expect(red).toEqual([7, 7, 128, 128, 7, 7, 128, 128, 7, 7, 7, 7, 7, 7, 7, 7])
  expect(image.data.every((value) => value === 7)).toBe(true)
})
