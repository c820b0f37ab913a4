import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, test } from '@jest/globals'

const beside = (name: string) => fileURLToPath(new URL(`../../../shared/${name}`, import.meta.url))

/** Real weights and images, which are no part of the repository. */
export const WEIGHTS = process.env.MACTOK_WEIGHTS ?? beside('weights')
export const DATA = process.env.MACTOK_DATA ?? beside('data')

/** Small inputs that were read wrongly once, part of the repository. */
export const CASES = fileURLToPath(new URL('../cases/', import.meta.url))

/** `describe` where `path` exists; elsewhere skipped, and the reason printed. */
export function describeWith(path: string, name: string, tests: () => void): void {
  if (existsSync(path)) {
    describe(name, tests)
    return
  }
  process.stderr.write(`skipped: ${name} (${path} is not there; MACTOK_WEIGHTS and MACTOK_DATA tell where)\n`)
  describe.skip(name, tests)
}

/** `test` where it can run; elsewhere skipped, and the reason printed. */
export function testWhere(canRun: boolean, reason: string): typeof test | typeof test.skip {
  if (!canRun) process.stderr.write(`skipped: ${reason}\n`)
  return canRun ? test : test.skip
}
