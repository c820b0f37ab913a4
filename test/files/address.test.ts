import { expect, test } from '@jest/globals'
import { printable } from '../../lib/files/address.js'

test.each([
  ['https://host/a/{00..10}.tar?X-Signature=a/b#part', 'https://host/a/{00..10}.tar'],
  ['https://user:p@ss@host:8000/a.tar', 'https://host:8000/a.tar'],
  ['HTTP://token@host', 'HTTP://host'],
  ['https://host/one@two.tar', 'https://host/one@two.tar'],
  ['images/one@two?.tar', 'images/one@two?.tar']
])('%j is shown as %j', (location, shown) => {
  expect(printable(location)).toBe(shown)
})
