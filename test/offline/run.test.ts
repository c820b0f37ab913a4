import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { isAlive } from '../../lib/files/alive.mjs'
import { libraries } from '../../lib/native/libtorch.mjs'
import { describeWhere } from '../support/paths.js'
import { until } from '../support/until.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** An unpacked archive, whose commands the tests write. */
let archive: string

beforeEach(() => {
  archive = mkdtempSync(join(tmpdir(), 'mactok-offline-'))
  cpSync(join(root, 'offline'), join(archive, 'offline'), { recursive: true })
  for (const name of ['bench', 'lib', 'dist']) symlinkSync(join(root, name), join(archive, name))
  writeFileSync(join(archive, 'offline', 'commit'), 'one\n')
  mkdirSync(join(archive, 'torch', 'lib'), { recursive: true })
  for (const file of libraries(join(archive, 'torch'))) writeFileSync(file, '')
  writeFileSync(join(archive, 'torch', 'build-version'), '2.15.0\n')
})
afterEach(() => rmSync(archive, { recursive: true }))

function start(script: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [join(archive, 'offline', script), ...args], {
    env: { ...process.env, LIBTORCH: join(archive, 'torch'), ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
}

async function run(script: string, args: string[], env?: NodeJS.ProcessEnv): Promise<{ code: number; stderr: string }> {
  const child = start(script, args, env)
  const [stderr, [code]] = await Promise.all([text(child.stderr as NodeJS.ReadableStream), once(child, 'close')])
  return { code, stderr }
}

const device = ['--device', 'cpu']
const buildBy = (script: string) => writeFileSync(join(archive, 'offline', 'compile.mjs'), script)
const list = async () =>
  (await text(start('run.mjs', ['--list', 'build', ...device]).stdout as NodeJS.ReadableStream)).trim()

describeWhere(process.platform === 'linux', 'the archive is for Linux', 'run.sh', () => {
  test('ends with 1 until the chosen parts have passed', async () => {
    buildBy('process.exit(3)')
    expect((await run('run.mjs', ['build', ...device])).code).toBe(1)
    // Nothing can be launched before it is built.
    expect(await run('run.mjs', ['launches', ...device])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('launches is skipped, because nothing is built')
    })
    buildBy('')
    expect((await run('run.mjs', ['build', ...device])).code).toBe(0)
    expect(await list()).toMatch(/^build +passed$/)
  })

  test('does not keep the results of another commit', async () => {
    buildBy('')
    await run('run.mjs', ['build', ...device])
    writeFileSync(join(archive, 'offline', 'commit'), 'another\n')
    expect(await list()).toBe('build')
  })

  test('ends a part with all that it started when it is interrupted', async () => {
    const file = join(archive, 'pids')
    buildBy(`
      import { spawn } from 'node:child_process'
      import { writeFileSync } from 'node:fs'
      // The part itself, and a child that ignores a request to end.
      process.on('SIGTERM', () => process.exit(1))
      const child = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 0.1; done'])
      writeFileSync(${JSON.stringify(file)}, process.pid + ' ' + child.pid)
      setInterval(() => {}, 1000)`)
    const child = start('run.mjs', ['build', ...device])
    while (!existsSync(file) || !readFileSync(file, 'utf8').includes(' ')) await sleep(20)
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([130, null])
    const pids = readFileSync(file, 'utf8').split(' ').map(Number)
    // What is killed ends when it is next scheduled.
    await until(() => !pids.some(isAlive))
    expect(pids.filter(isAlive)).toEqual([])
    expect(await list()).toBe('build')
  })
})

describeWhere(process.platform === 'linux', 'the archive is for Linux', 'compile.mjs', () => {
  test('builds again when sources or commands change, and not otherwise', async () => {
    const compiler = join(archive, 'compiler')
    // Called as `compiler -c <source> -o <output>`.
    writeFileSync(compiler, `#!/bin/sh\n[ "$1" = -c ] && echo >>'${archive}/calls' && cp "$2" "$4"\ntrue\n`, {
      mode: 0o755
    })
    const source = join(archive, 'native', 'nn', 'a.cpp')
    mkdirSync(join(archive, 'native', 'nn'), { recursive: true })
    const commands = { first: [], compile: ['@CXX@ -c @ROOT@/native/nn/a.cpp -o Release/a.so'], link: [], files: {} }
    writeFileSync(join(archive, 'offline', 'commands.json'), JSON.stringify(commands))
    const built = async (content: string) => {
      writeFileSync(source, content)
      const { code, stderr } = await run('compile.mjs', [join(archive, 'torch'), ''], { CXX: compiler })
      expect([code, stderr]).toEqual([0, expect.stringContaining('compiling 1 files')])
      return readFileSync(join(archive, 'build', 'Release', 'a.so'), 'utf8')
    }
    expect(await built('one')).toBe('one')
    expect(await built('another')).toBe('another')
    expect(await built('another')).toBe('another')
    expect(readFileSync(join(archive, 'calls'), 'utf8')).toBe('\n\n')
  })
})
