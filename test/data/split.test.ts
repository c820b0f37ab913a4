import { expect, test } from '@jest/globals'
import type { ImageSet } from '../../lib/data/image-set.js'
import { split } from '../../lib/data/split.js'
import { addon } from '../../lib/native/load.js'
import { memorySet } from '../support/images.js'

const set = memorySet(Array.from({ length: 40 }, (_, i) => Buffer.from([i])))
const numbers = (part: ImageSet) =>
  Array.from({ length: part.size }, (_, i) => Number.parseInt(part.sample(i).name, 10))

test('the parts are disjoint, complete and in listing order', async () => {
  const { train, heldOut } = split(set, 0.25, 3, addon().uniform)
  expect([train.size, heldOut.size]).toEqual([30, 10])
  const both = [...numbers(train), ...numbers(heldOut)]
  expect(both.sort((a, b) => a - b)).toEqual([...Array(40).keys()])
  for (const part of [train, heldOut]) expect(numbers(part)).toEqual([...numbers(part)].sort((a, b) => a - b))
  expect((await heldOut.read(4))[0]).toBe(numbers(heldOut)[4])
})

test('the seed determines the parts', () => {
  const held = (seed: number) => numbers(split(set, 8, seed, addon().uniform).heldOut)
  expect(held(1)).toEqual(held(1))
  expect(held(1)).not.toEqual(held(2))
})

test('neither part may be empty', () => {
  for (const count of [0, 40, -1, 2.5, 0.001, Number.NaN]) {
    expect(() => split(set, count, 1, addon().uniform)).toThrow(RangeError)
  }
})
