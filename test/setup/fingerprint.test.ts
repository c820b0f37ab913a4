import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { fingerprint, unlessMade } from '../../lib/setup/fingerprint.mjs'
import { freshFolder } from './fresh-folder.js'

let folder: string
let file: string

freshFolder((fresh) => {
  folder = fresh
  mkdirSync(join(folder, 'native/nn'), { recursive: true })
  file = join(folder, 'native/nn/mlp.cpp')
  writeFileSync(file, 'one')
})

const print = (facts: string[] = []) => fingerprint([join(folder, 'native'), join(folder, 'absent')], facts)

describe('fingerprint', () => {
  test('stays while nothing changes', () => expect(print()).toBe(print()))

  test.each<[string, () => void]>([
    ['a file grows', () => writeFileSync(file, 'longer')],
    ['a file is touched', () => utimesSync(file, 1, 1)],
    ['a file is added', () => writeFileSync(join(folder, 'native/a.h'), '')],
    ['a file is removed', () => rmSync(file)],
    ['an absent path appears', () => writeFileSync(join(folder, 'absent'), '')]
  ])('changes when %s', (_, change) => {
    const before = print()
    change()
    expect(print()).not.toBe(before)
  })

  test('changes with the facts', () => expect(print(['2.15.0'])).not.toBe(print(['2.14.0'])))
})

describe('unlessMade', () => {
  test('makes once, and again after a change or a failure', async () => {
    const stamp = join(folder, 'build/.stamp')
    let made = 0
    const make = () => void made++
    await unlessMade(stamp, print(), make)
    await unlessMade(stamp, print(), make)
    expect(made).toBe(1)
    writeFileSync(file, 'longer')
    await expect(unlessMade(stamp, print(), () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await unlessMade(stamp, print(), make)
    expect(made).toBe(2)
  })
})
