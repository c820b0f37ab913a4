import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { withLock } from '../../lib/setup/lock.mjs'
import { freshFolder } from './fresh-folder.js'

let folder: string
let path: string

freshFolder((fresh) => {
  folder = fresh
  path = join(folder, 'lock')
})

describe('withLock', () => {
  test('runs one body at a time', async () => {
    const events: string[] = []
    const body = (name: string) => async () => {
      events.push(`${name} starts`)
      await sleep(50)
      events.push(`${name} ends`)
    }
    await Promise.all([withLock(path, body('a')), withLock(path, body('b'))])
    expect(events).toEqual(['a starts', 'a ends', 'b starts', 'b ends'])
  })

  test('is free again after a failure', async () => {
    await expect(withLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(existsSync(path)).toBe(false)
  })

  test('takes over the lock of a dead process', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    writeFileSync(path, String(pid))
    expect(await withLock(path, () => 7)).toBe(7)
  })
})
