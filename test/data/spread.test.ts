import { expect, test } from '@jest/globals'
import { spread, spreadIndices } from '../../lib/data/spread.js'
import { memorySet } from '../support/images.js'

test('positions are evenly spread, and at most all', () => {
  expect(spreadIndices(10, 4)).toEqual([0, 2, 5, 7])
  expect(spreadIndices(3, 3)).toEqual([0, 1, 2])
  expect(spreadIndices(3, 5)).toEqual([0, 1, 2])
})

test('a spread of a set reads the images at those positions', async () => {
  const set = memorySet(Array.from({ length: 10 }, (_, i) => Buffer.from([i])))
  const chosen = spread(set, 4)
  expect(chosen.size).toBe(4)
  expect(chosen.sample(2)).toEqual(set.sample(5))
  expect([...(await chosen.read(3))]).toEqual([7])
})
