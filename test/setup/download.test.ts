import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { download } from '../../lib/setup/download.mjs'
import { until } from '../support/until.js'
import { freshFolder } from './fresh-folder.js'
import { sendFrom, serve } from './server.js'

const content = randomBytes(300_000)
const sha256 = createHash('sha256').update(content).digest('hex')
let folder: string
let path: string

freshFolder((fresh) => {
  folder = fresh
  path = join(folder, 'wheel')
})

/** Sends the beginning of the content, and cuts the connection when the client has written it. */
async function cutAfter(count: number, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-length': content.length })
  response.write(content.subarray(0, count))
  await until(() => statSync(`${path}.part`, { throwIfNoEntry: false })?.size === count)
  response.destroy()
}

describe('download', () => {
  test('fetches a file', async () => {
    await using server = await serve((request, response) => sendFrom(request, response, content))
    await download({ url: server.url, path, sha256 })
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(existsSync(`${path}.part`)).toBe(false)
    expect(server.ranges).toEqual([undefined])
  })

  test('goes on where the connection was cut', async () => {
    await using server = await serve((request, response, n) =>
      n > 0 ? sendFrom(request, response, content) : cutAfter(100_000, response)
    )
    await download({ url: server.url, path, sha256, pause: 1 })
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(server.ranges).toEqual([undefined, 'bytes=100000-'])
  })

  test('goes on with the part of an earlier process', async () => {
    writeFileSync(`${path}.part`, content.subarray(0, 1234))
    await using server = await serve((request, response) => sendFrom(request, response, content))
    await download({ url: server.url, path, sha256 })
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(server.ranges).toEqual(['bytes=1234-'])
  })

  test('starts anew when the server ignores ranges', async () => {
    writeFileSync(`${path}.part`, content.subarray(0, 1234))
    await using server = await serve((_, response) => response.end(content))
    await download({ url: server.url, path, sha256 })
    expect(readFileSync(path).equals(content)).toBe(true)
  })

  test('starts anew when an earlier part is damaged', async () => {
    writeFileSync(`${path}.part`, 'something else')
    await using server = await serve((request, response) => sendFrom(request, response, content))
    await download({ url: server.url, path, sha256 })
    expect(readFileSync(path).equals(content)).toBe(true)
    expect(server.ranges).toEqual(['bytes=14-', undefined])
  })

  test('refuses a wrong checksum and keeps nothing', async () => {
    const wrong = '0'.repeat(64)
    await using server = await serve((request, response) => sendFrom(request, response, content))
    await expect(download({ url: server.url, path, sha256: wrong })).rejects.toThrow(
      `wheel has SHA-256 ${sha256} instead of ${wrong}`
    )
    expect(existsSync(path)).toBe(false)
    expect(existsSync(`${path}.part`)).toBe(false)
  })

  test('tells a missing file at once', async () => {
    await using server = await serve((_, response) => response.writeHead(404).end())
    await expect(download({ url: server.url, path, sha256 })).rejects.toThrow(
      'wheel: the server answered 404 Not Found'
    )
    expect(server.ranges).toHaveLength(1)
  })

  test('tries a failing server again', async () => {
    await using server = await serve((request, response, n) => {
      if (n < 2) response.writeHead(503).end()
      else sendFrom(request, response, content)
    })
    await download({ url: server.url, path, sha256, pause: 1 })
    expect(server.ranges).toHaveLength(3)
  })

  test('keeps what it has when it gives up, and says that the next attempt goes on', async () => {
    await using server = await serve((_, response) => cutAfter(5000, response))
    await expect(download({ url: server.url, path, sha256, retries: 0 })).rejects.toThrow('it resumes where it stopped')
    expect(readFileSync(`${path}.part`).equals(content.subarray(0, 5000))).toBe(true)
  })

  test('gives up on a silent server', async () => {
    await using server = await serve(() => undefined)
    await expect(download({ url: server.url, path, sha256, retries: 0, stall: 50 })).rejects.toThrow(
      'no data for 0.05 s'
    )
  })

  test('names the reason when nothing listens', async () => {
    const server = await serve(() => undefined)
    await server[Symbol.asyncDispose]()
    await expect(download({ url: server.url, path, sha256, retries: 0 })).rejects.toThrow('ECONNREFUSED')
  })
})
