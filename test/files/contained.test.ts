import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { containedPath } from '../../lib/files/contained.js'

test.each(['a.png', 'a/b.png', '..a/b..png', 'a..', './a'])('%s stays below its folder', (name) => {
  expect(containedPath('out', name)).toBe(join('out', name))
})

test.each(['../a', 'a/../../b', 'a/..', '/a', '..', '', 'a\0b'])('%j is refused by name', (name) => {
  expect(() => containedPath('out', name)).toThrow(`The name ${JSON.stringify(name)} leads out of out`)
})
