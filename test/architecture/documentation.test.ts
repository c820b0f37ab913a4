import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { drawArchitecture } from '../../scripts/draw-architecture.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const page = read('docs/architecture.md')
const floors = JSON.parse(read('docs/floors.json'))

test.each(drawArchitecture())('$file shows the imports of today (else: npm run docs:architecture)', ({ file, svg }) => {
  expect(read(file)).toBe(svg)
})

describe('docs/architecture.md', () => {
  test.each(['lib', 'native'])('describes every room of %s, and no other', (tree) => {
    const section = page.split(`\n## ${tree}\n`)[1]?.split('\n## ')[0] ?? ''
    const rooms = [...section.matchAll(/^\| `(\w+)` \| \S/gm)].map(([, room]) => room)
    expect(rooms.toSorted()).toEqual(floors[tree].flat().toSorted())
  })

  test('names files that exist', () => {
    const named = [...page.matchAll(/`((?:lib|native|test)\/[^`\s]+)`/g)].map(([, file = '']) => file)
    expect(named.length).toBeGreaterThan(30)
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })
})
