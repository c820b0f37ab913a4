import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { imageFolder } from '../../lib/data/image-folder.js'
import type { ImageSet } from '../../lib/data/image-set.js'
import { imageSource } from '../../lib/data/image-source.js'
import { Workplace } from '../support/images.js'
import { testWhere } from '../support/paths.js'

const work = new Workplace()
const samples = (set: ImageSet) => Array.from({ length: set.size }, (_, i) => set.sample(i))
const names = (set: ImageSet) => samples(set).map(({ name }) => name)

const make = async (folder: string, files: string[]) => {
  for (const file of files) await work.write(`${folder}/${file}`, file)
  return work.path(folder)
}

describe('class folders', () => {
  test('are labelled and ordered as torchvision does', async () => {
    const folder = await make('nested', [
      'b/2.png',
      'b/10.png',
      'a/z.JPEG',
      'a/sub/1.webp',
      'a/sub-x/1.gif',
      'B/1.tiff',
      'é/1.avif'
    ])
    const set = await imageFolder(folder).open()
    // torchvision 0.29.2: ImageFolder(folder, is_valid_file=lambda path: True).classes and .samples
    expect(set.classes).toEqual(['B', 'a', 'b', 'é'])
    expect(samples(set)).toEqual([
      { name: 'B/1.tiff', label: 0 },
      { name: 'a/z.JPEG', label: 1 },
      { name: 'a/sub/1.webp', label: 1 },
      { name: 'a/sub-x/1.gif', label: 1 },
      { name: 'b/10.png', label: 2 },
      { name: 'b/2.png', label: 2 },
      { name: 'é/1.avif', label: 3 }
    ])
    expect(String(await set.read(4))).toBe('b/10.png')
    expect(set.ignored).toEqual([])
  })

  test('without images keep their label', async () => {
    const folder = await make('gap', ['a/1.png', 'b/readme.txt', 'c/1.png'])
    const set = await imageFolder(folder).open()
    expect(set.classes).toEqual(['a', 'b', 'c'])
    expect(samples(set).map(({ label }) => label)).toEqual([0, 2])
  })

  test('report the files that are not images', async () => {
    const folder = await make('mixed', ['a/1.png', 'a/notes.txt', 'a/README', 'loose.jpg', 'list.csv'])
    await symlink('nowhere', work.path('mixed/a/gone.png'))
    const { ignored, size } = await imageFolder(folder).open()
    expect(size).toBe(1)
    expect(ignored).toEqual([
      { name: 'list.csv', reason: 'not an image (.csv)' },
      { name: 'loose.jpg', reason: 'in no class folder' },
      { name: 'a/README', reason: 'not an image (no extension)' },
      { name: 'a/gone.png', reason: 'a broken link' },
      { name: 'a/notes.txt', reason: 'not an image (.txt)' }
    ])
  })

  test('hidden files and folders are skipped', async () => {
    const files = ['a/1.png', 'a/._1.png', '.DS_Store', '.ipynb_checkpoints/1.png', '__MACOSX/a/1.png']
    const set = await imageFolder(await make('hidden', files)).open()
    expect(set.classes).toEqual(['a'])
    expect(names(set)).toEqual(['a/1.png'])
    expect(set.ignored).toEqual([])
  })

  test('links are followed, except in circles', async () => {
    const folder = await make('links', ['a/1.png'])
    await make('elsewhere', ['2.png'])
    await symlink(work.path('elsewhere'), work.path('links/b'))
    await symlink('../../links', work.path('links/a/circle'))
    const set = await imageFolder(folder).open()
    expect(names(set)).toEqual(['a/1.png', 'b/2.png'])
    expect(set.ignored).toEqual([{ name: 'a/circle', reason: 'a link to a folder above it' }])
  })

  test('can be read as albums without labels', async () => {
    const folder = await make('albums', ['loose.png', 'b/1.png', 'a/1.png'])
    const set = await imageFolder(folder, { labels: 'none' }).open()
    expect(set.classes).toBeNull()
    expect(samples(set)).toEqual(['loose.png', 'a/1.png', 'b/1.png'].map((name) => ({ name, label: -1 })))
  })
})

test('a flat folder has no labels', async () => {
  const folder = await make('flat', ['b.png', 'a.jpg', 'notes.md'])
  const set = await imageSource(folder).open()
  expect(set.classes).toBeNull()
  expect(samples(set)).toEqual([
    { name: 'a.jpg', label: -1 },
    { name: 'b.png', label: -1 }
  ])
  expect(set.ignored).toEqual([{ name: 'notes.md', reason: 'not an image (.md)' }])
})

test('a tar beside class folders does not make the folder a WebDataset', async () => {
  const set = await imageSource(await make('beside', ['a/1.png', 'original.tar'])).open()
  expect(set.classes).toEqual(['a'])
  expect(set.ignored).toEqual([{ name: 'original.tar', reason: 'not an image (.tar)' }])
})

describe('errors', () => {
  test('of arguments', () => {
    expect(() => imageFolder(7 as never)).toThrow('Expected a folder for path but received 7')
    expect(() => imageFolder('x', { labels: 'some' as never })).toThrow('Expected one of folders, none for labels')
    expect(() => imageSource('')).toThrow(TypeError)
  })

  test('of folders', async () => {
    await expect(imageFolder(work.path('absent')).open()).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: /ENOENT/
    })
    await expect(imageSource(work.path('absent')).open()).rejects.toThrow(/neither a folder nor a tar/)
    const file = await work.write('file.png', '')
    await expect(imageFolder(file).open()).rejects.toThrow(/is not a folder/)
    await mkdir(work.path('nothing'))
    await expect(imageFolder(work.path('nothing')).open()).rejects.toThrow(
      /holds no images \(JPEG, PNG, .*\), only 0 other files/
    )
  })
})

const testOnLinux = testWhere(process.platform === 'linux', 'names that are not UTF-8, which only Linux takes')

testOnLinux('names that are not UTF-8 are kept apart, and their files are read', async () => {
  await work.write('latin/cats/ok.png', 'ok')
  const folder = Buffer.concat([Buffer.from(work.path('latin/')), Buffer.from('d\xf6gs', 'latin1')])
  await mkdir(folder)
  for (const name of ['caf\xe9.png', 'caf\xe8.png']) {
    await writeFile(Buffer.concat([folder, Buffer.from('/'), Buffer.from(name, 'latin1')]), name)
  }
  const set = await imageFolder(work.path('latin')).open()
  expect(names(set)).toEqual(['cats/ok.png', 'd\\xF6gs/caf\\xE8.png', 'd\\xF6gs/caf\\xE9.png'])
  expect(set.classes).toEqual(['cats', 'd\\xF6gs'])
  expect(String(await set.read(1))).toBe('caf\xe8.png')
  expect(String(await set.read(2))).toBe('caf\xe9.png')
})

test('an image of more than 1 GiB is unreadable', async () => {
  const path = await work.write('large/0.png', '')
  await truncate(path, 2 ** 31 + 1)
  const set = await imageFolder(work.path('large')).open()
  await expect(set.read(0)).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: '2147483649 bytes, more than the 1073741824 that an image may have'
  })
})
