import { createWriteStream } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from '@jest/globals'
import { pack } from 'tar-stream'
import { expandBraces } from '../../lib/data/braces.js'
import { decode } from '../../lib/data/decode.js'
import type { ImageSet } from '../../lib/data/image-set.js'
import { imageSource } from '../../lib/data/image-source.js'
import { webDataset } from '../../lib/data/web-dataset.js'
import { Workplace } from '../support/images.js'
import { DATA, describeWith } from '../support/paths.js'

const work = new Workplace()
const samples = (set: ImageSet) => Array.from({ length: set.size }, (_, i) => set.sample(i))

/** Written by tar-stream, which knows nothing of our reader. */
async function writeTar(
  name: string,
  files: [name: string | { name: string; type: 'directory' }, content: string | Buffer][]
): Promise<string> {
  const path = await work.write(name, '')
  const tar = pack()
  for (const [entry, content] of files) tar.entry(typeof entry === 'string' ? { name: entry } : entry, content)
  tar.finalize()
  await pipeline(tar, createWriteStream(path))
  return path
}

describe('a tar', () => {
  test("gives names, labels and images by random access, in the tar's order", async () => {
    const large = Buffer.alloc(200_000, 'x')
    const path = await writeTar('plain.tar', [
      ['000001.png', 'one'],
      ['000001.cls', '7\n'],
      ['./000000.JPG', large],
      ['000000.cls', '0'],
      ['a/000002.webp', 'two'],
      ['a/000002.json', '{}'],
      [{ name: 'a', type: 'directory' }, '']
    ])
    const set = await webDataset(path).open()
    expect(samples(set)).toEqual([
      { name: '000001.png', label: 7 },
      { name: '000000.JPG', label: 0 },
      { name: 'a/000002.webp', label: -1 }
    ])
    expect(await set.read(1)).toEqual(large)
    expect(String(await set.read(2))).toBe('two')
    expect(String(await set.read(0))).toBe('one')
    expect(set.classes).toBeNull()
    await set.close()
  })

  test('may have long and non-ASCII names', async () => {
    const long = `${'folder/'.repeat(20)}${'n'.repeat(120)}.png`
    const path = await writeTar('names.tar', [
      [long, 'long'],
      ['größe.png', 'wide'],
      ['last.png', 'last']
    ])
    const set = await webDataset(path).open()
    expect(samples(set).map(({ name }) => name)).toEqual([long, 'größe.png', 'last.png'])
    expect(String(await set.read(0))).toBe('long')
    expect(String(await set.read(2))).toBe('last')
    await set.close()
  })

  test('reports samples without an image', async () => {
    const path = await writeTar('lost.tar', [
      ['1.cls', '3'],
      ['2.png', 'two'],
      ['.hidden.png', '']
    ])
    const set = await webDataset(path).open()
    expect(samples(set)).toEqual([{ name: '2.png', label: -1 }])
    expect(set.ignored).toEqual([{ name: '1', reason: 'a sample without an image' }])
    await set.close()
  })
})

test('several tars are given as a folder or a pattern', async () => {
  for (const part of [0, 1, 2]) {
    await writeTar(`many/part-0${part}.tar`, [
      ['0.png', `part ${part}`],
      ['0.cls', String(part)]
    ])
  }
  await work.write('many/classes.json', '["cat", "dog", "owl"]')
  const all = await imageSource(work.path('many')).open()
  expect(samples(all)).toEqual([0, 1, 2].map((label) => ({ name: `part-0${label}.tar/0.png`, label })))
  expect(all.classes).toEqual(['cat', 'dog', 'owl'])
  expect(String(await all.read(1))).toBe('part 1')
  await all.close()

  const some = await imageSource(work.path('many/part-{01..02}.tar')).open()
  expect(samples(some).map(({ label }) => label)).toEqual([1, 2])
  await some.close()
})

test('braces expand as in a shell', () => {
  expect(expandBraces('a-{08..11}.tar')).toEqual(['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar'])
  expect(expandBraces('{8..10}')).toEqual(['8', '9', '10'])
  expect(expandBraces('{a,b}/{x,}')).toEqual(['a/x', 'a/', 'b/x', 'b/'])
  expect(expandBraces('plain{}')).toEqual(['plain{}'])
})

describe('errors', () => {
  test('name the tar', async () => {
    const text = await work.write('text.tar', 'x'.repeat(2000))
    await expect(webDataset(text).open()).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: /text\.tar is not an uncompressed tar/
    })

    const cut = await writeTar('cut.tar', [
      ['0.png', Buffer.alloc(3000)],
      ['1.png', Buffer.alloc(3000)]
    ])
    await truncate(cut, 5000)
    await expect(webDataset(cut).open()).rejects.toThrow(/cut\.tar ends at byte 5000, inside 1\.png/)

    const label = await writeTar('label.tar', [
      ['0.png', ''],
      ['0.cls', 'cat']
    ])
    await expect(webDataset(label).open()).rejects.toThrow(
      /0\.cls in .*label\.tar: expected a label in digits but received 'cat'/
    )
    await expect(webDataset(work.path('absent-{0..1}.tar')).open()).rejects.toThrow(
      /absent-0\.tar cannot be opened \(ENOENT\)/
    )
    await expect(webDataset(await writeTar('none.tar', [['a.txt', '']])).open()).rejects.toThrow(/holds no images/)
    await work.write('bare/x.txt', '')
    await expect(webDataset(work.path('bare')).open()).rejects.toThrow(/holds no \.tar/)
    expect(() => webDataset(null as never)).toThrow(
      'Expected a tar, a folder of tars or a pattern for path but received null'
    )
  })
})

describeWith(join(DATA, 'cifar10'), 'CIFAR-10', () => {
  test('is read from its tars', async () => {
    const set = await imageSource(join(DATA, 'cifar10/train-{00000..00001}.tar')).open()
    expect(set.size).toBe(10_000)
    expect(set.classes?.[9]).toBe('truck')
    expect(set.sample(5000).name).toBe('train-00001.tar/005000.png')
    const counts = new Map<number, number>()
    for (const { label } of samples(set)) counts.set(label, (counts.get(label) ?? 0) + 1)
    expect([...counts.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const { width, height } = await decode(await set.read(9999))
    expect([width, height]).toEqual([32, 32])
    await set.close()
  })
})
