import { mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { imageFolder } from '../../lib/data/image-folder.js'
import { spread } from '../../lib/data/spread.js'
import { imageKey } from '../../lib/evaluation/image-stream.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

test("a folder's key changes with the content, time and name of a file inside it, and with nothing else", async () => {
  const folder = place.path('photos')
  mkdirSync(join(folder, 'cats'), { recursive: true })
  const file = join(folder, 'cats', '1.png')
  const write = (content: string, time: number) => {
    writeFileSync(file, content)
    utimesSync(file, time, time)
  }
  const keys: string[] = []
  const key = async () => keys.push(await imageKey(folder))
  write('one', 1)
  await key()
  write('other', 1)
  await key()
  write('other', 2)
  await key()
  renameSync(file, join(folder, 'cats', '2.png'))
  await key()
  expect(new Set(keys).size).toBe(4)
  writeFileSync(join(folder, 'cats', 'notes.txt'), '')
  await key()
  expect(keys[4]).toBe(keys[3])
})

test('a chosen part of a set knows when its files change', async () => {
  const folder = place.path('part')
  for (const name of ['1', '2', '3']) await place.write(`part/${name}.png`, name.repeat(Number(name)))
  const set = await imageFolder(folder).open()
  const [all, part] = [set, spread(set, 2)]
  expect(await part.stamp?.(1)).toBe(await all.stamp?.(1))
  expect(await part.stamp?.(1)).not.toBe(await all.stamp?.(0))
})
