import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { decode } from '../../lib/data/decode.js'
import { grid, writePng } from '../../lib/data/image.js'
import { gradient, Workplace } from '../support/images.js'

const work = new Workplace()

test('a PNG keeps every pixel', async () => {
  const image = gradient(31, 17, 99)
  await writePng(work.path('image.png'), image)
  expect({ ...(await decode(await readFile(work.path('image.png')))) }).toMatchObject({ width: 31, height: 17 })
  const { data } = await decode(await readFile(work.path('image.png')))
  expect(new Uint8Array(data)).toEqual(image.data)
})

test('a grid shows its images row by row', async () => {
  const tiles = [10, 20, 30].map((value) => ({ data: new Uint8Array(2 * 1 * 3).fill(value), width: 2, height: 1 }))
  const { data, width, height } = await grid(tiles, 2, { gap: 1, background: 0 })
  expect([width, height]).toEqual([7, 5])
  const red = Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 3])
  )
  expect(red).toEqual([
    [0, 0, 0, 0, 0, 0, 0],
    [0, 10, 10, 0, 20, 20, 0],
    [0, 0, 0, 0, 0, 0, 0],
    [0, 30, 30, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0]
  ])
})

test('zoom repeats pixels', async () => {
  const tile = { data: Uint8Array.from([1, 1, 1, 2, 2, 2]), width: 2, height: 1 }
  const { data, width, height } = await grid([tile], 1, { gap: 0, zoom: 2 })
  expect([width, height]).toEqual([4, 2])
  expect([...data].filter((_, i) => i % 3 === 0)).toEqual([1, 1, 2, 2, 1, 1, 2, 2])
})

test('captions are drawn above the columns and leave the images unchanged', async () => {
  const tiles = [gradient(80, 30), gradient(80, 30, 200)]
  const plain = await grid(tiles, 2)
  const titled = await grid(tiles, 2, { captions: ['original', 'a < b & c'] })
  expect(titled.width).toBe(plain.width)
  const above = (titled.height - plain.height) * titled.width * 3
  expect(above).toBeGreaterThan(0)
  expect(titled.data.subarray(above)).toEqual(plain.data)
})

test('wrong arguments are rejected', async () => {
  await expect(grid([], 1)).rejects.toThrow('Expected one or more images of one size for images')
  await expect(grid([gradient(2, 2), gradient(3, 2)], 1)).rejects.toThrow(RangeError)
  await expect(grid([gradient(2, 2)], 0)).rejects.toThrow('Expected a positive integer for columns but received 0')
  await expect(grid([gradient(2, 2)], 1, { zoom: 0.5 })).rejects.toThrow('zoom')
})
