import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { readStatus } from '../../lib/files/alive.mjs'
import { notWritable } from '../../lib/files/make-folder.js'
import { lockRun } from '../../lib/runs/lock.js'
import { Workplace } from '../support/images.js'
import { testWhere } from '../support/paths.js'
import { until } from '../support/until.js'

const place = new Workplace()
const lockOf = (dir: string) => join(place.path(dir), 'train.lock')
const leave = (dir: string, owner: object) =>
  place.write(`${dir}/train.lock`, JSON.stringify({ pid: 1, host: hostname(), started: null, since: 'then', ...owner }))

/** The id of a process that has ended. */
async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'])
  await once(child, 'close')
  return child.pid as number
}

/** The id of a process that has ended, and whose parent, another program now, does not notice. */
async function zombiePid(): Promise<number> {
  const parent = spawn('sh', ['-c', 'sleep 3 & echo $!; exec sleep 60'])
  parents.push(parent)
  const [text] = await once(parent.stdout, 'data')
  const pid = Number(text)
  await until(() => readStatus(pid)?.[0] === 'Z')
  expect(readStatus(pid)?.[0]).toBe('Z')
  return pid
}
const parents: ChildProcess[] = []
afterAll(() => {
  for (const parent of parents) parent.kill()
})

test('a folder is locked once, and free again at the end', async () => {
  const lock = await lockRun(place.path('run'))
  const { pid, host } = JSON.parse(readFileSync(lockOf('run'), 'utf8'))
  expect({ pid, host }).toEqual({ pid: process.pid, host: hostname() })
  await expect(lockRun(place.path('run'))).rejects.toMatchObject({
    code: 'ERR_IN_USE',
    message: expect.stringMatching(
      new RegExp(`run is in use: process ${pid} on ${host} .+ trains in it, and process ${pid} on ${host} .+ would too`)
    )
  })
  await lock[Symbol.asyncDispose]()
  expect(existsSync(lockOf('run'))).toBe(false)
  await using again = await lockRun(place.path('run'))
  expect(again.takenOver).toBeNull()
})

test('a folder that was made for a refused training is removed again', async () => {
  await (await lockRun(place.path('refused')))[Symbol.asyncDispose]()
  expect(existsSync(place.path('refused'))).toBe(false)
})

test('a lock of another host holds, whatever runs here', async () => {
  await leave('elsewhere', { host: 'elsewhere', pid: await endedPid() })
  await expect(lockRun(place.path('elsewhere'))).rejects.toThrow(/process \d+ on elsewhere \(since then\) trains in it/)
})

test.each<[string, () => Promise<object>]>([
  ['whose process has ended', async () => ({ pid: await endedPid() })],
  ['whose process id was given to another', async () => ({ pid: process.pid, started: 'an earlier boot/12' })]
])('a lock %s is taken over', async (_, owner) => {
  const left = await owner()
  await leave('stale', left)
  await using lock = await lockRun(place.path('stale'))
  expect(lock.takenOver).toMatch(/^process \d+ on .+ \(since then\)$/)
  expect(readdirSync(place.path('stale'))).toEqual(['train.lock'])
})

testWhere(process.platform === 'linux', 'states of processes, which Linux tells')(
  'a lock whose process has ended, but still has its id, is taken over',
  async () => {
    await leave('unnoticed', { pid: await zombiePid() })
    await using lock = await lockRun(place.path('unnoticed'))
    expect(lock.takenOver).toMatch(/^process \d+ on .+ \(since then\)$/)
  }
)

test('a damaged lock is taken over', async () => {
  await place.write('damaged/train.lock', '{"pid":')
  await using lock = await lockRun(place.path('damaged'))
  expect(lock.takenOver).toBe('an unknown process')
})

test('what is left of a claim to a lock does not stay', async () => {
  await place.write('claimed/train.lock', '')
  await place.write(`claimed/train.lock.${createHash('sha256').digest('hex').slice(0, 16)}`, '')
  await using lock = await lockRun(place.path('claimed'))
  expect(lock.takenOver).toBe('an unknown process')
  expect(readdirSync(place.path('claimed'))).toEqual(['train.lock'])
})

test('of several that take over a stale lock one wins', async () => {
  for (let round = 0; round < 20; round++) {
    await leave('race', { pid: await endedPid() })
    const tried = await Promise.allSettled(Array.from({ length: 8 }, () => lockRun(place.path('race'))))
    const won = tried.filter((result) => result.status === 'fulfilled')
    expect(won).toHaveLength(1)
    await won[0]?.value[Symbol.asyncDispose]()
    expect(readdirSync(place.path('race'))).toEqual([])
  }
})

test('a folder that cannot be made says why', async () => {
  await place.write('file', '')
  await expect(lockRun(place.path('file/run'))).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: expect.stringMatching(/^Cannot write the folder .+file\/run: a part of the path is a file$/)
  })
})

test('a read-only file system is called so, where Node says ENOENT', async () => {
  const cause = Object.assign(new Error('ENOENT: no such file or directory, mkdir'), { code: 'ENOENT' })
  const access = Object.assign(new Error('EROFS'), { code: 'EROFS' })
  expect((await notWritable(place.path('x/y'), access)).message).toMatch(/x\/y: the file system is read-only$/)
  // Here it can be written: the reason is another.
  expect((await notWritable(place.path('x/y'), cause)).message).toMatch(/x\/y: ENOENT: no such file/)
})
