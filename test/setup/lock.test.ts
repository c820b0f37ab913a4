import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { withLock } from '../../lib/setup/lock.mjs'
import { testWhere } from '../support/paths.js'
import { freshFolder } from './fresh-folder.js'

let folder: string
let path: string

freshFolder((fresh) => {
  folder = fresh
  path = join(folder, 'lock')
})

const leave = (owner: { pid: number; started: string | null }) =>
  writeFileSync(path, JSON.stringify({ ...owner, host: hostname(), since: 'then' }))

describe('withLock', () => {
  test('runs one body at a time', async () => {
    const events: string[] = []
    const body = (name: string) => async () => {
      events.push(`${name} starts`)
      await sleep(50)
      events.push(`${name} ends`)
    }
    await Promise.all([withLock(path, 'another test', body('a')), withLock(path, 'another test', body('b'))])
    expect(events).toEqual(['a starts', 'a ends', 'b starts', 'b ends'])
  })

  test('is free again after a failure', async () => {
    await expect(withLock(path, 'another test', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(existsSync(path)).toBe(false)
  })

  test('takes over the lock of a dead process', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    leave({ pid, started: null })
    expect(await withLock(path, 'another test', () => 7)).toBe(7)
  })

  testWhere(process.platform === 'linux', 'starts of processes, which Linux tells')(
    'takes over the lock of an earlier process with this id, as in a container that was started again',
    async () => {
      leave({ pid: process.pid, started: 'an earlier boot/12' })
      expect(await withLock(path, 'another test', () => 7)).toBe(7)
    }
  )
})
