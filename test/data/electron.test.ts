import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from '@jest/globals'
import { decode } from '../../lib/data/decode.js'
import { testWhere } from '../support/paths.js'

// Electron's binary links GLib: a process with the library preloaded is one in which its functions come first, too.
const gobject = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((triple) => `/usr/lib/${triple}/libgobject-2.0.so.0`)
  .find((path) => existsSync(path))
const photo = fileURLToPath(new URL('../../examples/photos/rocket.jpg', import.meta.url))
const compiled = new URL('../../dist/data/decode.js', import.meta.url)
const electron = `Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '45.5.0' } })`

/** Decodes the photograph with GLib preloaded; prints its checksum, and whether sharp's binary was loaded. */
function decodeBesideGLib(prelude: string) {
  const script = `${prelude}
    const { decode } = await import('${compiled}')
    const { data } = await decode((await import('node:fs')).readFileSync(${JSON.stringify(photo)}))
    const libraries = process.report.getReport().sharedObjects
    console.log((await import('node:crypto')).createHash('sha256').update(data).digest('hex'))
    console.log(libraries.some((path) => path.includes('libvips')) ? 'binary' : 'WebAssembly')`
  const env = { ...process.env, LD_PRELOAD: gobject }
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8', env })
}

const needs = 'decoding beside GLib needs libgobject-2.0.so.0, which comes with Chromium'

testWhere(gobject !== undefined, needs)(
  'in Electron on Linux sharp decodes without its binary, which GLib disturbs',
  async () => {
    const { signal, stderr } = decodeBesideGLib('')
    expect(signal ?? stderr).toMatch(/SIG|GLib-GObject-CRITICAL/)
    const { data } = await decode(readFileSync(photo))
    const sha256 = createHash('sha256').update(data).digest('hex')
    expect(decodeBesideGLib(electron)).toMatchObject({ status: 0, stderr: '', stdout: `${sha256}\nWebAssembly\n` })
  }
)
