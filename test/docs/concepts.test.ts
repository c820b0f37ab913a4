import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { drawConcepts } from '../../scripts/draw-concepts.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

test.each(drawConcepts())('$file is what draws it today (else: npm run docs:concepts)', ({ file, svg }) => {
  expect(readFileSync(join(root, file), 'utf8')).toBe(svg)
})
