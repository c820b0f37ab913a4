import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { EXAMPLES } from '../support/examples.js'

test('every example has a test, which names its folder', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'))
  const text = files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  // The photographs are what the demo trains on.
  const names = folders.map(({ name }) => name).filter((name) => name !== 'photos')
  expect(names.filter((name) => !text.includes(`examples/${name}`))).toEqual([])
})
