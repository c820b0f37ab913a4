import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { BlockCache, blockBytes } from '../../lib/data/block-cache.js'
import { openHttpBytes } from '../../lib/data/http-bytes.js'
import { imageSource } from '../../lib/data/image-source.js'
import { BytesOpener } from '../../lib/data/open-bytes.js'
import { webDataset } from '../../lib/data/web-dataset.js'
import { type Fault, serveFiles } from '../support/faulty-server.js'
import { Workplace } from '../support/images.js'
import { tar } from '../support/tars.js'

const place = new Workplace()
const content = Buffer.from(Uint8Array.from({ length: 2.5 * blockBytes }, (_, i) => (i * 31 + (i >> 12)) % 251))
const fast = { stallSeconds: 0.2, attempts: 3, retryDelay: 1 }
/** For servers that do not stall, on a machine that may. */
const patient = { ...fast, stallSeconds: 30 }

beforeEach(() => {
  rmSync(place.path('cache'), { recursive: true, force: true })
})
const cacheOf = (limit = 1e9) => new BlockCache(limit, place.path('cache'))

/** Reads the whole file from a server with faults. */
async function readAll(
  fault: (n: number) => Fault,
  { limit = 1e9, ...options }: { limit?: number } & Partial<typeof fast> = {}
) {
  await using server = await serveFiles({ 'data.bin': content }, fault)
  const bytes = await openHttpBytes(server.url('data.bin'), cacheOf(limit), { ...patient, ...options })
  return { read: await bytes.read(0, bytes.size), requests: server.requests }
}

const block = (index: number, from = 0) =>
  `data.bin bytes=${index * blockBytes + from}-${Math.min(content.length, (index + 1) * blockBytes) - 1}`

describe('a file of a server', () => {
  test('is read by ranges, each block once, and later from the cache', async () => {
    await using server = await serveFiles({ 'data.bin': content })
    const open = () => openHttpBytes(server.url('data.bin'), cacheOf(), patient)
    const bytes = await open()
    expect(bytes.size).toBe(content.length)
    const at = blockBytes - 10
    const both = await Promise.all([bytes.read(at, 30), bytes.read(at + 5, 30)])
    expect(both.map((part, i) => part.equals(content.subarray(at + 5 * i, at + 5 * i + 30)))).toEqual([true, true])
    // The two blocks are requested at once.
    expect([...server.requests].sort()).toEqual(['data.bin bytes=0-0', block(0), block(1)].sort())
    await bytes.close()
    const again = await open()
    expect((await again.read(at, 30)).equals(content.subarray(at, at + 30))).toBe(true)
    expect((await again.read(content.length - 3, 3)).equals(content.subarray(-3))).toBe(true)
    expect(server.requests.slice(3)).toEqual(['data.bin bytes=0-0', block(2)])
    await expect(again.read(content.length - 3, 4)).rejects.toThrow('ends after 3 of 4 bytes')
  })

  test.each<[string, (n: number) => Fault]>([
    ['answers 503 now and then', (n) => (n % 3 === 0 ? { status: 503 } : undefined)],
    [
      'answers 429 and says when to come back',
      (n) => (n === 1 ? { status: 429, headers: { 'retry-after': '0' } } : undefined)
    ],
    ['fails', (n) => (n === 0 || n === 2 ? { cutAfter: 0 } : undefined)]
  ])('is read from a server that %s', async (_, fault) => {
    expect((await readAll(fault, { attempts: 8 })).read.equals(content)).toBe(true)
  })

  test.each<[string, Fault, typeof fast]>([
    ['cut', { cutAfter: 100_000 }, patient],
    ['stalled', { stallAfter: 100_000 }, { ...fast, stallSeconds: 2 }]
  ])('resumes a %s connection at the byte reached, as often as there is progress', async (_, wrong, options) => {
    await using server = await serveFiles({ 'data.bin': content.subarray(0, 600_000) }, (n) =>
      n === 0 ? undefined : wrong
    )
    const bytes = await openHttpBytes(server.url('data.bin'), cacheOf(), { ...options, attempts: 8 })
    expect((await bytes.read(0, 600_000)).equals(content.subarray(0, 600_000))).toBe(true)
    const starts = server.requests.slice(1).map((request) => Number(/=(\d+)-/.exec(request)?.[1]))
    expect(starts.length).toBeGreaterThanOrEqual(6)
    expect(starts).toEqual(starts.toSorted((a, b) => a - b))
    expect(starts[1]).toBeGreaterThan(0)
  })

  test.each<[string, (n: number) => Fault, string]>([
    [
      'stays unavailable',
      () => ({ status: 503 }),
      'failed 3 times in a row, last with: http://127.0.0.1:PORT/data.bin answered 503'
    ],
    ['refuses', () => ({ status: 403 }), 'data.bin answered 403 (Forbidden)'],
    ['has no ranges', () => 'no ranges', 'data.bin does not serve ranges of its files: download it'],
    ['sends another range', (n) => (n === 0 ? undefined : 'wrong range'), 'answered with another range than requested']
  ])('of a server that %s is an error', async (_, fault, message) => {
    const failure = await readAll(fault).catch((error) => error)
    expect(failure).toMatchObject({ code: 'ERR_DOWNLOAD' })
    expect(failure.message.replace(/:\d{4,5}\//g, ':PORT/')).toContain(message)
  })

  test('of a server that stalls for good is an error', async () => {
    const failure = await readAll((n) => (n === 0 ? undefined : { stallAfter: 0 }), fast).catch((error) => error)
    expect(failure).toMatchObject({ code: 'ERR_DOWNLOAD' })
    expect(failure.message).toContain('failed 3 times in a row, last with: no byte came for 0.2 s')
  })

  test('that changes while it is read is an error, and another version is fetched again', async () => {
    await using server = await serveFiles({ 'data.bin': content })
    const bytes = await openHttpBytes(server.url('data.bin'), cacheOf(), patient)
    await bytes.read(0, 10)
    server.etag = '"2"'
    await expect(bytes.read(blockBytes, 10)).rejects.toThrow('was changed while it was read: start again')
    const now = await openHttpBytes(server.url('data.bin'), cacheOf(), patient)
    expect(now.stamp).not.toBe(bytes.stamp)
    server.requests.length = 0
    await now.read(0, 10)
    expect(server.requests).toEqual([block(0)])
  })

  test('takes no more disk than the cache may have', async () => {
    const { read } = await readAll(() => undefined, { limit: 2 * blockBytes })
    expect(read.equals(content)).toBe(true)
    const files = readdirSync(place.path('cache'), { recursive: true, encoding: 'utf8' })
    const sizes = files.map((file) => statSync(join(place.path('cache'), file))).filter((found) => found.isFile())
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(2 * blockBytes)
  })

  test('a damaged block is fetched again', async () => {
    await using server = await serveFiles({ 'data.bin': content })
    const cache = cacheOf()
    await (await openHttpBytes(server.url('data.bin'), cache, patient)).read(0, 10)
    const [file] = readdirSync(place.path('cache'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /[\\/]0$/.test(name)
    )
    await place.write(`cache/${file}`, 'cut')
    const bytes = await openHttpBytes(server.url('data.bin'), cache, patient)
    expect((await bytes.read(0, 10)).equals(content.subarray(0, 10))).toBe(true)
  })

  test('keeps user, password and query out of messages', async () => {
    await using server = await serveFiles({})
    const url = server.url('secret.bin?token=abc')
    const failure = await openHttpBytes(url, cacheOf(), patient).catch((error) => error)
    expect(failure.message).toMatch(/secret\.bin answered 404/)
    expect(failure.message).not.toContain('abc')
    const { host } = new URL(url)
    const refused = await openHttpBytes(`http://bob:hidden@${host}/a.bin`, cacheOf(), patient).catch((error) => error)
    expect(refused).toMatchObject({ code: 'ERR_DOWNLOAD', message: expect.stringContaining('are not supported') })
    expect(refused.message).not.toMatch(/bob|hidden/)
  })

  test('is read where the cache cannot be written', async () => {
    await place.write('cache', 'a file')
    const { read, requests } = await readAll(() => undefined)
    expect(read.equals(content)).toBe(true)
    expect(requests).toHaveLength(4)
  })

  test('that is compressed is told from others of the same size by all of its address', async () => {
    const packed = async (name: string) => gzipSync(await tar([[`${name}.png`, name]]), { level: 0 })
    await using server = await serveFiles({ 'a.tar.gz': await packed('one') })
    server.etag = undefined
    const opener = new BytesOpener({ ...patient, cacheBytes: 1e9 })
    const read = async () => {
      const bytes = await opener.open(server.url('a.tar.gz'))
      const text = (await bytes.read(0, bytes.size)).toString('latin1')
      await bytes.close()
      return text
    }
    expect(await read()).toContain('one.png')
    server.files['a.tar.gz'] = await packed('two')
    expect(await read()).toContain('two.png')
  })
})

describe('tars of a server', () => {
  const env = process.env.MACTOK_CACHE
  beforeAll(() => {
    process.env.MACTOK_CACHE = place.path('tars')
  })
  afterAll(() => {
    if (env === undefined) delete process.env.MACTOK_CACHE
    else process.env.MACTOK_CACHE = env
  })

  test('are images with labels and classes, as those of a folder', async () => {
    const files = {
      'train-00.tar': await tar([
        ['0.png', 'zero'],
        ['0.cls', '1'],
        ['1.png', 'one'],
        ['1.cls', '0']
      ]),
      'train-01.tar': await tar([
        ['0.png', 'two'],
        ['0.cls', '1']
      ]),
      'classes.json': Buffer.from('["cat", "dog"]')
    }
    await using server = await serveFiles(files, (n) => (n % 3 === 0 ? { status: 503 } : undefined))
    const path = server.url('train-{00..01}.tar')
    const set = await webDataset(path, { retryDelay: 1 }).open()
    expect(Array.from({ length: set.size }, (_, i) => set.sample(i))).toEqual([
      { name: 'train-00.tar/0.png', label: 1 },
      { name: 'train-00.tar/1.png', label: 0 },
      { name: 'train-01.tar/0.png', label: 1 }
    ])
    expect(set.classes).toEqual(['cat', 'dog'])
    expect(await Promise.all([2, 0].map(async (i) => String(await set.read(i))))).toEqual(['two', 'zero'])
    await set.close()
    delete (server.files as Record<string, Buffer>)['classes.json']
    const without = await imageSource(server.url('train-01.tar')).open()
    expect([without.size, without.classes, without.sample(0).name]).toEqual([1, null, '0.png'])
    await without.close()
  })

  test.each([401, 403, 404, 409])('have no class names where a server answers %i for them', async (status) => {
    const files = { 'x.tar': await tar([['0.png', 'zero']]), 'classes.json': Buffer.from('["cat"]') }
    await using server = await serveFiles(files, (_, name) => (name === 'classes.json' ? { status } : undefined))
    const set = await webDataset(server.url('x.tar'), { retryDelay: 1 }).open()
    expect([set.size, set.classes]).toEqual([1, null])
    await set.close()
  })

  test('give no name signatures of their addresses', async () => {
    const files = { 'a/x.tar': await tar([['0.png', 'zero']]), 'b/x.tar': await tar([['0.png', 'one']]) }
    await using server = await serveFiles(files)
    const set = await webDataset(`${server.url('{a,b}/x.tar')}?X-Signature=c2VjcmV0/cw`, { retryDelay: 1 }).open()
    expect(set.name).toBe(server.url('{a,b}/x.tar'))
    expect([0, 1].map((i) => set.sample(i).name)).toEqual(['a/x.tar/0.png', 'b/x.tar/0.png'])
    await set.close()
  })

  test.each([
    [
      'that cannot be requested, by a name that is no percent-encoding',
      'http://127.0.0.1:1/{a%zz,b}.tar',
      'http://127.0.0.1:1/a%zz.tar'
    ],
    ['that is none', 'http://[::1/a.tar?key=secret', 'http://[::1/a.tar is not a valid address']
  ])('an address %s is refused', async (_, address, message) => {
    const opened = webDataset(address, { attempts: 1 }).open()
    await expect(opened).rejects.toMatchObject({ code: 'ERR_DOWNLOAD', message: expect.stringContaining(message) })
  })
})
