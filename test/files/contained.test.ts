import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { containedPath, refuseLinks } from '../../lib/files/contained.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

test.each(['a.png', 'a/b.png', '..a/b..png', 'a..', './a'])('%s stays below its folder', (name) => {
  expect(containedPath('out', name)).toBe(join('out', name))
})

test.each(['../a', 'a/../../b', 'a/..', '/a', '..', '', 'a\0b'])('%j is refused by name', (name) => {
  expect(() => containedPath('out', name)).toThrow(`The name ${JSON.stringify(name)} leads out of out`)
})

test('a folder in which a file is a link is refused by name; links to folders and to nothing are not', async () => {
  const file = await place.write('elsewhere/file.txt', 'not ours')
  const folder = place.path('folder')
  mkdirSync(folder)
  symlinkSync(place.path('elsewhere'), join(folder, 'checkpoints'))
  symlinkSync(place.path('nothing'), join(folder, 'dangling'))
  await refuseLinks(folder)
  await refuseLinks(place.path('no folder'))
  symlinkSync(file, join(folder, 'run.json'))
  await expect(refuseLinks(folder)).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: `${join(folder, 'run.json')} is a link to a file, which would be overwritten: replace it by a copy`
  })
})
