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

test('parts that passed run again only when named in full, and those that never ran come first', async () => {
  // By its address: the bench, which it imports, has no types.
  const { remaining, select } = await import(new URL('../../offline/parts.mjs', import.meta.url).href)
  const parts = ['build', 'tests a', 'tests b', 'tests c'].map((name) => ({ name, kind: name.slice(0, 5) }))
  const outcomes: Record<string, string> = { build: 'failed', 'tests a': 'time is over', 'tests b': 'passed' }
  const names = (wanted: string) =>
    remaining(select(parts, wanted), wanted, (name: string) => outcomes[name]).map(({ name }: { name: string }) => name)
  expect(names('')).toEqual(['build', 'tests c', 'tests a'])
  expect(names('tests')).toEqual(['tests c', 'tests a'])
  expect(names('tests b')).toEqual(['tests b'])
})
