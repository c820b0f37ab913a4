import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from '@jest/globals'
import { circles, readImports, roomOf, upwardImports } from '../../scripts/architecture.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const floors = JSON.parse(readFileSync(join(root, 'docs', 'floors.json'), 'utf8'))

describe.each(['lib', 'native'] as const)('%s', (tree) => {
  const imports = readImports(join(root, tree), tree)

  test('no file imports from its own floor or a higher one', () => {
    expect(imports.length).toBeGreaterThan(200)
    expect(upwardImports(imports, floors[tree])).toEqual([])
  })

  test('no files import each other in a circle', () => {
    expect(circles(imports)).toEqual([])
  })

  test('the list names every room, and no other', () => {
    expect(floors[tree].flat().toSorted()).toEqual([...new Set(readdirSync(join(root, tree)).map(roomOf))].toSorted())
  })
})

describe('a planted fault is found', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mactok-architecture-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test.each([
    ['lib', 'errors.ts', "import type {} from './training/loop.js'\n", { from: 'errors.ts', to: 'training/loop.ts' }],
    ['native', 'nn/mlp.h', '#include "models/tokenizer.h"\n', { from: 'nn/mlp.h', to: 'models/tokenizer.h' }]
  ] as const)('in %s, an import that leads up from %s', (tree, file, line, planted) => {
    const copy = join(folder, tree)
    cpSync(join(root, tree), copy, { recursive: true })
    writeFileSync(join(copy, file), line + readFileSync(join(copy, file), 'utf8'))
    const imports = readImports(copy, tree)
    expect(upwardImports(imports, floors[tree])).toEqual([planted])
    expect(circles(imports).some((circle) => circle.includes(file))).toBe(true)
  })
})
