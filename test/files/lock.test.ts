import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, test } from '@jest/globals'
import { waitForLock } from '../../lib/files/lock.mjs'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const leave = (name: string, owner: object) =>
  place.write(name, JSON.stringify({ pid: 1, host: hostname(), started: null, since: 'then', ...owner }))

test('a lock is waited for, and its owner named', async () => {
  const path = place.path('waited')
  const first = await waitForLock(path, 'another test')
  const messages: string[] = []
  const waiting = waitForLock(path, 'another test', { onWait: (message) => messages.push(message) })
  await sleep(500)
  expect(messages).toEqual([
    expect.stringMatching(
      new RegExp(`^waiting for another test: process ${process.pid} on ${hostname()} \\(since .+Z\\)$`)
    )
  ])
  first.release()
  const second = await waiting
  expect(second.takenOver).toBeNull()
  second.release()
  expect(existsSync(path)).toBe(false)
})

test('a lock of another host holds, and its message says what to do if that process is gone', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const path = await leave('elsewhere', { host: 'elsewhere', pid })
  const controller = new AbortController()
  const messages: string[] = []
  const onWait = (message: string) => {
    messages.push(message)
    controller.abort()
  }
  const waiting = waitForLock(path, 'another test', { onWait, signal: controller.signal })
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  expect(messages).toEqual([
    `waiting for another test: process ${pid} on elsewhere (since then); if that process is gone, delete ${path}`
  ])
})

test('of many that wait for a stale lock each has it once, one at a time', async () => {
  const { pid } = spawnSync(process.execPath, ['--version'])
  const path = await leave('stale', { pid })
  let holders = 0
  let most = 0
  const take = async () => {
    const lock = await waitForLock(path, 'another test')
    most = Math.max(most, ++holders)
    await sleep(1)
    expect(await lock.isHeld()).toBe(true)
    holders--
    lock.release()
  }
  await Promise.all(Array.from({ length: 8 }, take))
  expect(most).toBe(1)
})

test('threads of one process have a lock one at a time', async () => {
  const counter = await place.write('counter', '0')
  const script = `
    import { readFileSync, writeFileSync } from 'node:fs'
    import { waitForLock } from '${new URL('../../lib/files/lock.mjs', import.meta.url)}'
    for (let i = 0; i < 5; i++) {
      const lock = await waitForLock(${JSON.stringify(place.path('threads'))}, 'another thread')
      const count = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'))
      await new Promise((resolve) => setTimeout(resolve, 2))
      writeFileSync(${JSON.stringify(counter)}, String(count + 1))
      lock.release()
    }`
  const address = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
  const workers = Array.from({ length: 3 }, () => new Worker(address))
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  expect(readFileSync(counter, 'utf8')).toBe('15')
})
