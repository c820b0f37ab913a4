import { expect, test } from '@jest/globals'
import { packagesFor } from '../../offline/packages.mjs'

test('packages are found as Node finds them: nested ones first, then those above', () => {
  const lock = {
    'node_modules/a': { dependencies: { b: '1', c: '1' } },
    'node_modules/a/node_modules/b': { dependencies: { c: '1' } },
    'node_modules/b': {},
    'node_modules/c': { optionalDependencies: { absent: '1' }, peerDependencies: { d: '1' } },
    'node_modules/d': { dependencies: { a: '1' } },
    'node_modules/unused': {}
  }
  expect(packagesFor(lock, ['a'])).toEqual([
    'node_modules/a',
    'node_modules/a/node_modules/b',
    'node_modules/c',
    'node_modules/d'
  ])
  expect(() => packagesFor(lock, ['e'])).toThrow('no e')
})
