/** The imports of `lib/` and `native/`, and what breaks the order of the floors in `docs/floors.json`. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/**
 * @typedef {{ from: string, to: string }} Import two files, relative to the root of the tree
 * @typedef {readonly (readonly string[])[]} Floors rooms by floor, the top one first
 */

const languages = {
  lib: { source: /\.(ts|mjs)$/, imports: /(?:from|import\()\s*'(\.[^']+)'/g },
  native: { source: /\.(cpp|h)$/, imports: /#include "([^"]+)"/g }
}

/**
 * Every import of one file of a tree by another.
 * @param {string} root folder of the tree, `lib` or `native`
 * @param {keyof typeof languages} tree
 * @returns {Import[]}
 */
export function readImports(root, tree) {
  const { source, imports } = languages[tree]
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => source.test(file))
  return files.flatMap((from) =>
    [...readFileSync(join(root, from), 'utf8').matchAll(imports)].flatMap(([, path = '']) => {
      // TypeScript's paths are relative to the file, and name what it compiles to.
      const to = tree === 'lib' ? normalize(join(dirname(from), path)).replace(/\.js$/, '.ts') : path
      return existsSync(join(root, to)) ? [{ from, to }] : []
    })
  )
}

/**
 * The room of a file: its top-level folder, or its own name at the top level.
 * @param {string} file
 */
export const roomOf = (file) => /** @type {string} */ (file.split(/[\\/]/)[0]).replace(/\.\w+$/, '')

/**
 * The imports that do not lead to a lower floor, or within one room.
 * @param {readonly Import[]} imports
 * @param {Floors} floors
 */
export function upwardImports(imports, floors) {
  const floor = new Map(floors.flatMap((rooms, level) => rooms.map((room) => /** @type {const} */ ([room, level]))))
  /** @param {string} file */
  const levelOf = (file) => {
    const level = floor.get(roomOf(file))
    if (level === undefined) throw new Error(`${file}: docs/floors.json has no room ${roomOf(file)}`)
    return level
  }
  return imports.filter(({ from, to }) => roomOf(from) !== roomOf(to) && levelOf(from) >= levelOf(to))
}

/**
 * Circles of files that import each other, each as a path that ends where it began.
 * @param {readonly Import[]} imports
 * @returns {string[][]}
 */
export function circles(imports) {
  /** @type {Map<string, string[]>} */
  const targets = new Map()
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to])
  /** @type {string[][]} */
  const found = []
  const finished = new Set()
  /** @param {string} file @param {string[]} path */
  const visit = (file, path) => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file])
    if (start >= 0 || finished.has(file)) return
    for (const target of targets.get(file) ?? []) visit(target, [...path, file])
    finished.add(file)
  }
  for (const file of targets.keys()) visit(file, [])
  return found
}
