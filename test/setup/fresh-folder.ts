import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from '@jest/globals'

/** Gives each test of a file an empty folder, and the environment as it was before the tests. */
export function freshFolder(prepare: (folder: string) => void): void {
  const environment = { ...process.env }
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mactok-'))
    prepare(folder)
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
    process.env = { ...environment }
  })
}
