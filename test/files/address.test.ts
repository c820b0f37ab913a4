import { expect, test } from '@jest/globals'
import { withoutSecretsOf } from '../../lib/ablation/schema.js'
import { withoutSecrets } from '../../lib/files/address.js'
import { findDataChange } from '../../lib/training/data-change.js'

test.each([
  ['https://host/a/{00..10}.tar?X-Signature=a/b#part', 'https://host/a/{00..10}.tar'],
  ['https://user:p@ss@host:8000/a.tar', 'https://host:8000/a.tar'],
  ['HTTP://token@host', 'HTTP://host'],
  ['https:///user:password@host/a.tar', 'https:///host/a.tar'],
  ['https://user:pass/word@host/a.tar', 'https://host/a.tar'],
  ['https://user:pass?word@host/a.tar', 'https://host/a.tar'],
  ['https://host/one@two.tar', 'https://host/one@two.tar'],
  ['images/one@two?.tar', 'images/one@two?.tar']
])('%j is shown as %j', (location, shown) => {
  expect(withoutSecrets(location)).toBe(shown)
})

test('changed data are described without signatures', () => {
  const [before, now] = ['first', 'second'].map((key, i) => ({ from: `https://host/a.tar?key=${key}`, images: i }))
  const described = 'from https://host/a.tar (images 0) before, from https://host/a.tar (images 1) now'
  expect(findDataChange(before as object, now as object)).toBe(described)
})

test("an ablation's files show no signatures", () => {
  const settings = { data: 'https://host/a.tar?key=secret', heldOut: 'photos', steps: 3 }
  expect(withoutSecretsOf(settings)).toEqual({ data: 'https://host/a.tar', heldOut: 'photos', steps: 3 })
})
