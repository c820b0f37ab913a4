import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8')
const quoted = [...page.matchAll(/^### `(.+)`$/gm)].map(([, text = '']) => text)

const sources = ['lib', 'native'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs|cpp|h)$/.test(name))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
)

test('quotes at least 25 errors', () => expect(quoted.length).toBeGreaterThanOrEqual(25))

test.each(quoted)('%s is an error of the sources', (text) => {
  const fixed = text.split('…').map((part) => part.trim().replace(/^[;:,.] ?|[:]$/g, ''))
  const parts = fixed.filter((part) => part.length > 3)
  expect(parts.join('').length).toBeGreaterThan(12)
  expect(sources.some((source) => parts.every((part) => source.includes(part)))).toBe(true)
})
