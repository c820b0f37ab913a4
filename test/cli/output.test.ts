import { expect, test } from '@jest/globals'
import { fixed } from '../../lib/cli/output.js'

test('a number that rounds to zero is printed without a sign', () => {
  expect(fixed(-0.00001, 4)).toBe('0.0000')
  expect(fixed(-0, 0)).toBe('0')
  expect(fixed(-0.00006, 4)).toBe('-0.0001')
  expect(fixed(12.3456, 2)).toBe('12.35')
})
