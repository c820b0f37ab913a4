import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { libraries, libTorchCandidates } from '../../lib/native/libtorch.mjs'
import { mactok } from '../support/cli.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { folder: libtorch } = libTorchCandidates()[0] ?? { folder: '' }
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Situation {
  env?: Record<string, string>
  /** JavaScript that runs first. */
  first?: string
  /** The package's folder. */
  main?: string
}

/** What doctor reports by name, and its exit code. */
function doctor({ env = {}, first = '', main = root }: Situation = {}) {
  const node = first ? ['--import', `data:text/javascript,${encodeURIComponent(first)}`] : []
  const done = spawnSync(process.execPath, [...node, join(main, 'dist', 'cli', 'main.js'), 'doctor', '--json'], {
    encoding: 'utf8',
    env: { ...process.env, MACTOK_ADDON: 'mactok', ...env }
  })
  expect(done.stderr).toBe('')
  const { canTrain, checks } = JSON.parse(done.stdout) as {
    canTrain: boolean
    checks: { name: string; state: string; found: string; fix?: string }[]
  }
  expect(done.status).toBe(canTrain ? 0 : 1)
  return { canTrain, ...Object.fromEntries(checks.map((check) => [check.name, check])) } as Record<string, unknown>
}

/** A copy of the package with the given files as its build. */
function packageWith(build: Record<string, string>): string {
  const copy = join(folder, 'package')
  for (const name of ['package.json', 'dist', 'lib/setup'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  mkdirSync(join(copy, 'build', 'Release'), { recursive: true })
  for (const [name, from] of Object.entries(build)) cpSync(from, join(copy, 'build', 'Release', name))
  return copy
}

const built = (name: string) => join(root, 'build', 'Release', name)

describe('doctor', () => {
  test('reports what is there, with exit code 0', async () => {
    const report = doctor()
    expect(report).toMatchObject({
      canTrain: true,
      libtorch: { state: 'ok', found: expect.stringMatching(/^2\.\d+\.\d+ in .+ \(.+\)$/) },
      engine: { state: 'ok', found: expect.stringMatching(/^LibTorch's work runs on \d+ threads?$/) },
      sharp: { state: 'ok' }
    })
    const { stdout } = await mactok(['doctor'])
    expect(stdout).toMatch(/^libtorch +ok +2\.\d+\.\d+ in /m)
  })

  test.each<[string, () => Situation, Record<string, unknown>]>([
    [
      'without LibTorch',
      () => ({ env: { LIBTORCH: '', MACTOK_CACHE: folder } }),
      { libtorch: { state: 'missing', fix: 'npx mactok setup' } }
    ],
    [
      'with a LIBTORCH that is none',
      () => ({ env: { LIBTORCH: folder } }),
      { libtorch: { state: 'missing', found: expect.stringContaining('has no lib') } }
    ],
    [
      'with an older LibTorch',
      () => {
        mkdirSync(join(folder, 'lib'))
        for (const path of libraries(libtorch)) symlinkSync(path, join(folder, 'lib', path.split('/').at(-1) ?? ''))
        writeFileSync(join(folder, 'version.py'), "__version__ = '2.14.0'\n")
        return { env: { LIBTORCH: folder } }
      },
      { libtorch: { state: 'too old', found: expect.stringContaining('2.14.0 in ') } }
    ],
    [
      'without an addon',
      () => ({ main: packageWith({}) }),
      {
        addon: {
          state: 'missing',
          found: expect.stringMatching(/^neither a build in .+ nor the package @mactok\/\w+-\w+$/),
          fix: 'npm install --include=optional, or npx mactok setup --build'
        }
      }
    ],
    [
      'with half an addon',
      () => ({ main: packageWith({ 'mactok.node': built('mactok.node') }) }),
      { addon: { state: 'missing', found: expect.stringMatching(/^no .+libmactok\.so$/) } }
    ],
    [
      'with a damaged addon',
      () => {
        const damaged = join(folder, 'damaged')
        writeFileSync(damaged, 'no library')
        return { main: packageWith({ 'mactok.node': built('mactok.node'), 'libmactok.so': damaged }) }
      },
      { engine: { state: 'broken', found: expect.stringContaining('libmactok.so does not load') } }
    ],
    [
      'with an addon that crashes while it is loaded',
      () => {
        const source = join(folder, 'crash.cpp')
        writeFileSync(
          source,
          '#include <cstdlib>\n__attribute__((constructor)) static void crash() { std::abort(); }\n'
        )
        const compiled = spawnSync('c++', ['-shared', '-fPIC', '-o', join(folder, 'crash.so'), source])
        expect(compiled.status).toBe(0)
        const main = packageWith({ 'mactok.node': built('mactok.node'), 'libmactok.so': join(folder, 'crash.so') })
        return { main, env: { MACTOK_CACHE: join(folder, 'cache'), LIBTORCH: libtorch } }
      },
      { engine: { state: 'broken', found: expect.stringContaining('libmactok.so ends a process with SIGABRT') } }
    ],
    [
      'with an old glibc',
      () => ({ first: replaceGlibc('"2.17"') }),
      { glibc: { state: 'too old', found: expect.stringMatching(/^2\.17; 2\.\d+ is needed$/) } }
    ],
    ['with musl', () => ({ first: replaceGlibc('undefined') }), { glibc: { state: 'missing' } }],
    [
      'with a full disk and no LibTorch',
      () => ({
        env: { LIBTORCH: '', MACTOK_CACHE: folder },
        first: `import fs from 'node:fs/promises'; import { syncBuiltinESMExports } from 'node:module'
          fs.statfs = async () => ({ bavail: 10, bsize: 4096 }); syncBuiltinESMExports()`
      }),
      { disk: { state: 'missing', found: '0.0 GB free for the cache; LibTorch needs 1.4 GB' } }
    ],
    [
      'without sharp',
      () => ({
        first: `import { register } from 'node:module'
          register('data:text/javascript,' + encodeURIComponent(\`export async function resolve(name, context, next) {
            if (name === 'sharp') throw new Error('Could not load the "sharp" module')
            return next(name, context) }\`))`
      }),
      { sharp: { state: 'missing', fix: 'npm install --include=optional sharp' } }
    ]
  ])('%s says so and what to do, with exit code 1', (_, prepare, expected) => {
    if (process.platform !== 'linux') return console.log("skipped: the files are Linux'")
    expect(doctor(prepare())).toMatchObject({ canTrain: false, ...expected })
  })

  test('without compiler, pip and a cache that can be written, says that training is possible', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    expect(doctor({ env: { PATH: folder, MACTOK_CACHE: join(file, 'cache'), LIBTORCH: libtorch } })).toMatchObject({
      canTrain: true,
      cache: { state: 'broken' },
      pip: { state: 'missing', fix: expect.stringContaining('apt-get install python3-pip') },
      compiler: { state: 'missing', fix: expect.stringContaining('apt-get install g++') },
      chromium: { state: process.env.MACTOK_CHROMIUM ? 'ok' : 'missing' }
    })
  })

  test('names a driver that is too old for CUDA', () => {
    const program = join(folder, 'nvidia-smi')
    writeFileSync(program, '#!/bin/sh\necho 470.82.01\n', { mode: 0o755 })
    expect(doctor({ env: { PATH: `${folder}:${process.env.PATH}` } })).toMatchObject({
      canTrain: true,
      driver: { state: 'too old', found: 'the NVIDIA driver is 470.82.01, but CUDA 13 needs 580 or newer' }
    })
  })
})

const replaceGlibc = (version: string) => `const { getReport } = process.report
  process.report.getReport = () => { const report = getReport.call(process.report); report.header.glibcVersionRuntime = ${version}; return report }`
