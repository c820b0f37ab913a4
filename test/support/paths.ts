import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, test } from '@jest/globals'

const beside = (name: string) => fileURLToPath(new URL(`../../../shared/${name}`, import.meta.url))

/** Real weights and images, which are no part of the repository. */
export const WEIGHTS = process.env.MACTOK_WEIGHTS ?? beside('weights')
export const DATA = process.env.MACTOK_DATA ?? beside('data')

/** Small inputs that were read wrongly once, part of the repository. */
export const CASES = fileURLToPath(new URL('../cases/', import.meta.url))

/** `describe` where it can run; elsewhere skipped, and the reason printed. */
export function describeWhere(canRun: boolean, reason: string, name: string, tests: () => void): void {
  if (!canRun) process.stderr.write(`skipped: ${name} (${reason})\n`)
  const run = canRun ? describe : describe.skip
  run(name, tests)
}

/** Why what needs `path` is skipped. */
const missing = (path: string) => `${path} is not there; MACTOK_WEIGHTS and MACTOK_DATA tell where`

/** `describe` where `path` exists; elsewhere skipped, and the reason printed. */
export const describeWith = (path: string, name: string, tests: () => void): void =>
  describeWhere(existsSync(path), missing(path), name, tests)

/** `test` where `path` exists; elsewhere skipped, and the reason printed. */
export const testWith = (path: string, name: string, body: () => Promise<void>): void =>
  testWhere(existsSync(path), `${name} (${missing(path)})`)(name, body)

/** `test` where it can run; elsewhere skipped, and the reason printed. */
export function testWhere(canRun: boolean, reason: string): typeof test | typeof test.skip {
  if (!canRun) process.stderr.write(`skipped: ${reason}\n`)
  return canRun ? test : test.skip
}
