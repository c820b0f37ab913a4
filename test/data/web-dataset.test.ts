import { createWriteStream, readdirSync } from 'node:fs'
import { appendFile, readFile, rename, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { pack } from 'tar-stream'
import { expandBraces } from '../../lib/data/braces.js'
import { decode } from '../../lib/data/decode.js'
import type { ImageSet } from '../../lib/data/image-set.js'
import { imageSource } from '../../lib/data/image-source.js'
import { webDataset } from '../../lib/data/web-dataset.js'
import { Workplace } from '../support/images.js'
import { CASES, DATA, describeWith } from '../support/paths.js'

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

test('tars that were opened beside a broken one are read anew once they are replaced', async () => {
  const [first, second] = [await work.write('pair/0.tar', 'broken'), await writeTar('pair/1.tar', [['old.png', 'x']])]
  await expect(webDataset(work.path('pair/*.tar')).open()).rejects.toThrow(first)
  await rename(await writeTar('new-first.tar', [['first.png', 'x']]), first)
  await rename(await writeTar('new-second.tar', [['new.png', 'x']]), second)
  const set = await webDataset(work.path('pair/*.tar')).open()
  expect(samples(set).map(({ name }) => name)).toEqual(['0.tar/first.png', '1.tar/new.png'])
  await set.close()
})

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

test('tars match wildcards, sorted by name, within a folder and across folders', async () => {
  const names = ['b/x-2.tar', 'b/x-10.tar', 'a/x-1.tar', 'a/y-1.tar', 'a/.x-9.tar']
  for (const name of names) await writeTar(`wild/${name}`, [['0.png', name]])
  const open = async (pattern: string) => samples(await webDataset(work.path(`wild/${pattern}`)).open())
  expect((await open('b/x-*.tar')).map(({ name }) => name)).toEqual(['x-10.tar/0.png', 'x-2.tar/0.png'])
  expect((await open('*/x-?.tar')).map(({ name }) => name)).toEqual(['x-1.tar/0.png', 'x-2.tar/0.png'])
  expect(await open('{b,a}/x-[12]*.tar').catch(({ message }) => message)).toContain('No file matches')
  await expect(open('none-*.tar')).rejects.toThrow(`No file matches ${work.path('wild/none-*.tar')}`)
})

test('more tars than a process opens at once are read', async () => {
  for (let i = 0; i < 150; i++) await writeTar(`crowd/${String(i).padStart(3, '0')}.tar`, [['0.png', `${i}`]])
  const set = await webDataset(work.path('crowd')).open()
  const read = await Promise.all(Array.from({ length: 150 }, async (_, i) => Number(String(await set.read(149 - i)))))
  expect(read).toEqual(Array.from({ length: 150 }, (_, i) => 149 - i))
  await set.close()
})

describe('a compressed tar', () => {
  const withCache = async (body: () => Promise<void>) => {
    const before = process.env.MACTOK_CACHE
    process.env.MACTOK_CACHE = work.path('unpacked')
    await body().finally(() => {
      if (before === undefined) delete process.env.MACTOK_CACHE
      else process.env.MACTOK_CACHE = before
    })
  }
  const packTar = async () =>
    readFile(
      await writeTar('raw.tar', [
        ['0.png', 'zero'],
        ['1.png', Buffer.alloc(300_000, 1)]
      ])
    )

  test('is unpacked into the cache once, and read as any other', () =>
    withCache(async () => {
      const path = await work.write('packed/a.tar.gz', gzipSync(await packTar()))
      for (let time = 0; time < 2; time++) {
        const set = await imageSource(work.path('packed')).open()
        expect(samples(set).map(({ name }) => name)).toEqual(['0.png', '1.png'])
        expect(String(await set.read(0))).toBe('zero')
        await set.close()
      }
      expect(readdirSync(work.path('unpacked/data'))).toHaveLength(1)
      expect((await webDataset(path).open()).size).toBe(2)
    }))

  test('that was cut short, is damaged, or does not fit into the cache is named', () =>
    withCache(async () => {
      const packed = gzipSync(await packTar())
      const cut = await work.write('cut.tar.gz', packed.subarray(0, -20))
      await expect(webDataset(cut).open()).rejects.toThrow(`${cut} cannot be unpacked: it was cut short`)
      const damaged = await work.write('damaged.tgz', Buffer.concat([Buffer.from('no'), packed]))
      await expect(webDataset(damaged).open()).rejects.toThrow(`${damaged} cannot be unpacked: incorrect header check`)
      const bomb = await work.write('bomb.tar.gz', gzipSync(Buffer.alloc(2 ** 20)))
      await expect(webDataset(bomb, { cacheBytes: 1000 }).open()).rejects.toThrow(
        `${bomb} does not fit unpacked into the 1000 bytes of the cache`
      )
      expect(readdirSync(work.path('unpacked/data')).filter((file) => file.endsWith('.tmp'))).toEqual([])
    }))
})

test('braces expand as in a shell', () => {
  expect(expandBraces('a-{08..11}.tar')).toEqual(['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar'])
  expect(expandBraces('{8..10}')).toEqual(['8', '9', '10'])
  expect(expandBraces('{a,b}/{x,}')).toEqual(['a/x', 'a/', 'b/x', 'b/'])
  expect(expandBraces('plain{}')).toEqual(['plain{}'])
  expect(() => expandBraces('{0..99999999999}')).toThrow('Expected a range of at most 1000000 files for path')
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

describe('archives as users have them', () => {
  const open = (name: string) => webDataset(join(CASES, name)).open()

  test('names that lead out of a folder are ignored and named', async () => {
    const set = await open('traversal.tar')
    expect(samples(set).map(({ name }) => name)).toEqual(['ok.png'])
    expect(set.ignored).toEqual([
      { name: '../../ESCAPED.png', reason: 'its name leads out of a folder' },
      { name: '/tmp/faults/ABS.png', reason: 'its name leads out of a folder' }
    ])
    await set.close()
  })

  test.each([
    ['loop.tar', '000000.png'],
    ['paxneg2.tar', '0.png'],
    ['nansize.tar', '']
  ])('an invalid size is an error with file and member: %s', async (file, member) => {
    await expect(open(file)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(new RegExp(`${file} has an invalid size for .*${member}`))
    })
  })

  test('an image of more than 1 GiB is unreadable, and the others are read', async () => {
    const path = await work.write('large.tar', tarHeader('0.png', 2 ** 31 + 1))
    await truncate(path, 512 + 2 ** 31 + 512)
    await appendFile(path, Buffer.concat([tarHeader('1.png', 0), Buffer.alloc(1024)]))
    const set = await webDataset(path).open()
    await expect(set.read(0)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: '2147483649 bytes, more than the 1073741824 that an image may have'
    })
    expect((await set.read(1)).length).toBe(0)
    await set.close()
  })

  test('a label or an extended header of more than 1 MiB is an error', async () => {
    for (const header of [tarHeader('0.cls', 2 ** 21), tarHeader('0.png', 2 ** 21, 'x')]) {
      const path = await work.write('text-size.tar', Buffer.concat([header, Buffer.alloc(2 ** 21 + 1024)]))
      await expect(webDataset(path).open()).rejects.toThrow(/has 2097152 bytes of text in 0\.(cls|png)/)
    }
  })

  test('two files of one name are an error that names them', async () => {
    await expect(open('dup.tar')).rejects.toThrow(/dup\.tar has two files named 0\.png/)
    const path = await writeTar('dot.tar', [
      ['a/0.png', ''],
      ['./a//0.png', '']
    ])
    await expect(webDataset(path).open()).rejects.toThrow(/has two files named a\/0\.png/)
    const others = await writeTar('readme.tar', [
      ['0.png', ''],
      ['README', ''],
      ['README', '']
    ])
    await (await webDataset(others).open()).close()
  })

  test('a second image or label of a sample is not taken silently', async () => {
    const images = await writeTar('images.tar', [
      ['0.png', 'png'],
      ['0.jpg', 'jpg']
    ])
    const set = await webDataset(images).open()
    expect(samples(set).map(({ name }) => name)).toEqual(['0.png'])
    expect(set.ignored).toEqual([{ name: '0.jpg', reason: 'a second image beside 0.png' }])
    await set.close()
    const labels = await writeTar('labels.tar', [
      ['0.png', ''],
      ['0.cls', '1'],
      ['0.CLS', '2']
    ])
    await expect(webDataset(labels).open()).rejects.toThrow(/labels\.tar has two labels of 0/)
  })

  test('extensions are read without regard to case', async () => {
    const set = await open('upper.tar')
    expect(samples(set)).toEqual([
      { name: '0.JPEG', label: 3 },
      { name: '1.PNG', label: 4 },
      { name: '2.Png', label: 5 }
    ])
    await set.close()
  })

  test('a label beyond int32 is an error with file and member', async () => {
    await expect(open('lab32.tar')).rejects.toThrow(
      /0\.cls in .*lab32\.tar: expected a label of at most 2147483647 but received '4294967297'/
    )
  })

  test('archives that follow each other in one file are all read', async () => {
    const set = await open('cat.tar')
    expect(set.size).toBe(2)
    expect(set.ignored).toEqual([])
    await set.close()
  })

  test('an archive cut short anywhere is an error', async () => {
    const path = await writeTar('whole.tar', [
      ['0.png', 'zero'],
      ['0.cls', '0'],
      ['1.png', 'one'],
      ['1.cls', '1']
    ])
    const whole = await readFile(path)
    const end = 8 * 512
    for (let size = 0; size < end + 512; size += 128) {
      const cut = await work.write('cut-anywhere.tar', whole.subarray(0, size))
      await expect(webDataset(cut).open()).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    }
    const cut = await work.write('cut-anywhere.tar', whole.subarray(0, 6 * 512))
    await expect(webDataset(cut).open()).rejects.toThrow(/cut-anywhere\.tar ends without the mark of its end/)
  })

  test('bytes after the end of an archive are reported', async () => {
    const path = await writeTar('trailing.tar', [['0.png', '']])
    await appendFile(path, Buffer.alloc(700, 7))
    const set = await webDataset(path).open()
    expect(set.ignored).toEqual([{ name: path, reason: '700 bytes after the end of the archive' }])
    await set.close()
  })

  test('links are reported', async () => {
    const path = await work.write(
      'links.tar',
      Buffer.concat([tarHeader('0.png', 0), tarHeader('1.png', 0, '2'), Buffer.alloc(1024)])
    )
    const set = await webDataset(path).open()
    expect(set.ignored).toEqual([{ name: '1.png', reason: 'a symbolic link in a tar' }])
    await set.close()
  })

  test('member names that are not UTF-8 are kept apart', async () => {
    const names = ['caf\xe9.png', 'caf\xe8.png']
    const headers = names.map((name) => tarHeader(Buffer.from(name, 'latin1'), 0))
    const path = await work.write('latin.tar', Buffer.concat([...headers, Buffer.alloc(1024)]))
    const set = await webDataset(path).open()
    expect(samples(set).map(({ name }) => name)).toEqual(['caf\\xE9.png', 'caf\\xE8.png'])
    await set.close()
  })

  test('tars of one name in several folders are kept apart by their folders', async () => {
    for (const folder of ['d1', 'd2']) await writeTar(`${folder}/a.tar`, [['0.png', folder]])
    const set = await webDataset(work.path('d{1,2}/a.tar')).open()
    expect(samples(set).map(({ name }) => name)).toEqual(['d1/a.tar/0.png', 'd2/a.tar/0.png'])
    expect(String(await set.read(1))).toBe('d2')
    await set.close()
    await expect(webDataset(work.path('d1/a{,}.tar')).open()).rejects.toThrow(/d1\/a\.tar is listed twice/)
  })

  test('class names that do not fit the labels are reported', async () => {
    await writeTar('few/a.tar', [
      ['0.png', ''],
      ['0.cls', '5']
    ])
    await work.write('few/classes.json', '["cat", "dog"]')
    const set = await webDataset(work.path('few')).open()
    expect(set.classes).toBeNull()
    expect(set.ignored).toEqual([{ name: 'classes.json', reason: '2 names, but labels up to 5' }])
    await set.close()
    await work.write('few/classes.json', '[')
    await expect(webDataset(work.path('few')).open()).rejects.toThrow(/few\/classes\.json is not JSON/)
  })
})

/** A ustar header, with any size and type. */
function tarHeader(name: string | Buffer, size: number, type = '0'): Buffer {
  const header = Buffer.alloc(512)
  header.set(Buffer.from(name as string))
  header.write(size.toString(8).padStart(11, '0'), 124)
  header.write(' '.repeat(8), 148)
  header.write(type, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

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
