import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { libraries, libTorchCandidates } from '../../lib/native/libtorch.mjs'

// Each case needs a process of its own, because LibTorch stays in a process; so these run what the set-up compiled to dist/.
const native = new URL('../../dist/native/', import.meta.url)
const { folder: libtorch } = libTorchCandidates()[0] ?? { folder: '' }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** What a script prints as JSON, or its uncaught error's message. */
function run(body: string, environment: Record<string, string> = {}) {
  const imports = ['load', 'find'].map((name) => `import * as ${name} from '${new URL(`${name}.js`, native)}'`)
  const script = `${imports.join('\n')}
    try { console.log(JSON.stringify(await (async () => { ${body} })())) } catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })) }`
  const done = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    cwd: fileURLToPath(native)
  })
  expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(done.stdout)
}

/** A LibTorch folder of the given version, with links to the real libraries. */
function fakeLibTorch(version: string): string {
  mkdirSync(join(folder, 'lib'))
  for (const library of libraries(libtorch)) symlinkSync(library, join(folder, 'lib', library.split('/').at(-1) ?? ''))
  writeFileSync(join(folder, 'version.py'), `__version__ = '${version}'\n`)
  return folder
}

describe('loading the addon', () => {
  test('finds LibTorch and reports where it came from', () => {
    const origin = run('return load.libtorchOrigin()')
    expect(origin).toMatchObject({ folder: libtorch, version: '2.15.0' })
    expect(run('return typeof load.addon().info().cpuCapability')).toBe('string')
  })

  test('reports a missing LibTorch with the places that were tried and the fixes', () => {
    const { code, message } = run('load.addon()', { LIBTORCH: '', MACTOK_CACHE: folder })
    expect(code).toBe('ERR_NATIVE_LOAD')
    expect(message.split('\n')).toEqual([
      'LibTorch was not found',
      `  tried: ${folder}/libtorch-2.15.0/torch (the cache): no such folder`,
      '  fix: `npx mactok setup` fetches LibTorch 2.15.0 into the cache',
      '  fix: LIBTORCH=<folder> names an unpacked LibTorch 2.15.0, or the torch folder of a Python installation'
    ])
  })

  test('reports a missing library of the addon with the fix', () => {
    const { code, message } = run('load.addon()', { MACTOK_ADDON: 'absent' })
    expect(code).toBe('ERR_NATIVE_LOAD')
    expect(message).toMatch(/absent\.\w+ does not load\n {2}tried: .*absent.*\n {2}fix: .*compiles it for this machine/)
  })

  test('refuses another version of LibTorch and names both', () => {
    const { code, message } = run('load.addon()', { LIBTORCH: fakeLibTorch('2.14.0') })
    expect(code).toBe('ERR_NATIVE_LOAD')
    expect(message).toContain(`${folder} is LibTorch 2.14.0, but mactok was built against 2.15.0`)
  })

  test('refuses a second LibTorch in the process and names both', () => {
    if (process.platform !== 'linux') return console.log('skipped: copies libc10.so')
    const copy = join(folder, 'libc10.so')
    cpSync(join(libtorch, 'lib', 'libc10.so'), copy)
    const { code, message } = run(`
      find.loadBootstrap(find.findBuild()).open(${JSON.stringify(copy)})
      load.addon()`)
    expect(code).toBe('ERR_NATIVE_LOAD')
    expect(message).toContain(`Another LibTorch is already loaded in this process: ${copy}`)
    expect(message).toContain(join(libtorch, 'lib', 'libtorch_cpu.so'))
  })

  test('accepts the same LibTorch through a link', () => {
    expect(run('return load.libtorchOrigin().version', { LIBTORCH: fakeLibTorch('2.15.0') })).toBe('2.15.0')
  })
})

test("opens libraries beside Electron's archive, not in it", () => {
  if (process.platform !== 'linux') return console.log('skipped: builds have other names')
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const archived = join(folder, 'app.asar', 'mactok')
  const unpacked = join(folder, 'app.asar.unpacked', 'mactok')
  for (const name of ['package.json', 'dist/native', 'dist/files', 'dist/errors.js']) {
    cpSync(join(root, name), join(archived, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(archived, 'node_modules'))
  // Electron lists unpacked files in the archive, too.
  mkdirSync(join(archived, 'build', 'Release'), { recursive: true })
  writeFileSync(join(archived, 'build', 'Release', 'mactok.node'), '')
  cpSync(join(root, 'build', 'Release'), join(unpacked, 'build', 'Release'), { recursive: true })
  const script = `const { addon } = await import(${JSON.stringify(join(archived, 'dist', 'native', 'load.js'))})
    console.log(typeof addon().info().threads)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect(stdout).toBe('number\n')
})
