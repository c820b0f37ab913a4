/** `--config file.yaml`: its settings, and where in it a setting stands. */

import { readFileSync } from 'node:fs'
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument
} from 'yaml'
import { isRecord } from '../checks.js'
import { refusedSetting } from '../config.js'
import { UsageError } from './exit.js'

/** The file that was read, for the errors about its settings. */
let source: { file: string; document: Document; lines: LineCounter } | undefined

/** Settings that flags gave instead. */
const overridden = new Set<string>()

/** Notes that a setting is not the file's. */
export const overrideSetting = (name: string): void => void overridden.add(name)

const placeOf = (file: string, lines: LineCounter, node: Node) => `${file}:${lines.linePos(node.range?.[0] ?? 0).line}`

/** Refuses what would end in no settings: an alias within its own anchor, and keys that an object cannot hold. */
function checkNode(
  node: unknown,
  outer: readonly unknown[],
  document: Document,
  fail: (node: Node, what: string) => never
): void {
  if (isAlias(node)) {
    if (outer.includes(node.resolve(document))) fail(node, `*${node.source} refers to what contains it`)
    return
  }
  if (!isMap(node) && !isSeq(node)) return
  const within = [...outer, node]
  for (const item of node.items) {
    if (!isPair(item)) {
      checkNode(item, within, document, fail)
      continue
    }
    if (isScalar(item.key) && item.key.value === '__proto__') fail(item.key, 'Unknown setting __proto__')
    checkNode(item.value, within, document, fail)
  }
}

/** Far deeper than any settings are. The parser's stack would end long before that of a hostile file, and with it the process. */
const maxDepth = 64

/** Whether brackets or items in one line, or indentation, open more levels than that; those within texts count too. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth = Math.max(0, depth + (bracket === '[' || bracket === '{' ? 1 : -1))
    if (depth > maxDepth) return true
  }
  return /^ *(?:[-?:] +){64}|^ {256}/m.test(text)
}

/**
 * Reads settings by name from a YAML file; `<<` merges an anchored group.
 * @throws {UsageError} with file and line
 */
export function readConfig(file: string): Record<string, unknown> {
  const lines = new LineCounter()
  let content: unknown
  let document: Document
  try {
    const text = readFileSync(file, 'utf8')
    if (isTooDeep(text)) throw new Error(`it is nested deeper than ${maxDepth} levels`)
    document = parseDocument(text, { merge: true, lineCounter: lines })
    const [error] = document.errors
    if (error) throw error
    checkNode(document.contents, [], document, (node, what) => {
      throw new UsageError(`${placeOf(file, lines, node)}: ${what}`)
    })
    content = document.toJS()
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`Cannot read ${file}: ${(error as Error).message}`)
  }
  if (!isRecord(content)) throw new UsageError(`Expected ${file} to hold settings by name`)
  source = { file, document, lines }
  return content
}

/** Finds the pair of a key in a map, or in the maps merged into it. */
function findPair(node: unknown, key: string, document: Document): Pair | undefined {
  const map = isAlias(node) ? node.resolve(document) : node
  if (isSeq(map)) return map.items.map((item) => findPair(item, key, document)).find((pair) => pair !== undefined)
  if (!isMap(map)) return undefined
  const named = (name: string) => map.items.find((pair) => isScalar(pair.key) && pair.key.value === name)
  return named(key) ?? findPair(named('<<')?.value, key, document)
}

/** The message of an error, after file and line where it is about a setting of the file. */
export function locateError(error: Error): string {
  const path = refusedSetting(error) ?? refusedSetting(error.cause)
  if (!source || !path) return error.message
  // An element of a list stands where its list does.
  const names = path.filter((key) => typeof key !== 'number').map(String)
  if (overridden.has(names.join('.'))) return error.message
  const { file, document, lines } = source
  let pair: Pair | undefined
  let within: unknown = document.contents
  for (const name of names) {
    pair = findPair(within, name, document)
    within = pair?.value
  }
  return isScalar(pair?.key) ? `${placeOf(file, lines, pair.key)}: ${error.message}` : error.message
}
