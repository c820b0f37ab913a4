import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { findCrash } from '../../lib/native/trial.mjs'
import { testWhere } from '../support/paths.js'

const trial = new URL('../../lib/native/trial.mjs', import.meta.url)
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-trial-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** How often an Electron app is started that tries the addon, and that is no Node: whoever starts its binary starts the app. */
function countStarts(name: string): number {
  const [app, starts] = [join(folder, name), join(folder, 'starts')]
  writeFileSync(
    app,
    `#!${process.execPath}
    const { appendFileSync, statSync } = require('node:fs')
    appendFileSync(${JSON.stringify(starts)}, '.')
    Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '45.5.0' } })
    process.execPath = __filename
    const files = { bootstrap: __filename, libraries: [], addon: __filename }
    if (statSync(${JSON.stringify(starts)}).size < 4) import('${trial}').then(({ findCrash }) => findCrash(files))`
  )
  chmodSync(app, 0o755)
  spawnSync(app, { env: { ...process.env, MACTOK_CACHE: folder } })
  return readFileSync(starts).length
}

const testScripts = testWhere(
  process.platform !== 'win32',
  'a script that is a program needs a system other than Windows'
)
describe('an Electron app', () => {
  testScripts('is started again once, and not by what was started', () => expect(countStarts('electron')).toBe(2))
  testScripts('that is packaged is not started again', () => expect(countStarts('photos')).toBe(1))
})

test('a missing file is no crash', () => {
  const missing = { bootstrap: process.execPath, libraries: [], addon: join(folder, 'libmactok.so') }
  expect(findCrash(missing)).toBeUndefined()
})
