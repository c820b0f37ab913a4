import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type DownloadProgress, pullWeights } from '../../lib/weights/index.js'
import { until } from '../support/until.js'

const repo = 'somebody/dinov2-tiny'
const model = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) & 255))
const config = Buffer.from('{"hidden_size": 384}\n')
const sha256 = createHash('sha256').update(model).digest('hex')
const blob = createHash('sha1').update(`blob ${config.length}\0`).update(config).digest('hex')

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** What the storage server does with a GET, one handler a request; the last one stays. */
let storage: Handler[]
/** Headers by which the hub describes the large file. */
let linked: Record<string, string>
let hubHandler: Handler | undefined
let log: { method: string; url: string; range: string | undefined; authorization: string | undefined }[]
let hub: Server
let store: Server
let cache: string
const environment = { ...process.env }

const origin = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const listen = (handler: Handler) =>
  new Promise<Server>((resolve) => {
    const server = createServer((request, response) => {
      const { range, authorization } = request.headers
      log.push({ method: request.method ?? '', url: request.url ?? '', range, authorization })
      handler(request, response)
    })
    server.listen(0, '127.0.0.1', () => resolve(server))
  })

const start = (range: string | undefined) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)

/** Serves ranges. */
const whole: Handler = ({ headers: { range } }, response) => {
  const from = start(range)
  const ranged = { 'content-range': `bytes ${from}-${model.length - 1}/${model.length}` }
  response.writeHead(range ? 206 : 200, { 'content-length': model.length - from, ...(range ? ranged : {}) })
  response.end(model.subarray(from))
}

/** Cuts the connection after some bytes, when the client has written them. */
const cutAfter =
  (bytes: number): Handler =>
  async ({ headers: { range } }, response) => {
    const from = start(range)
    const ranged = { 'content-range': `bytes ${from}-${model.length - 1}/${model.length}` }
    response.writeHead(range ? 206 : 200, { 'content-length': model.length - from, ...(range ? ranged : {}) })
    response.write(model.subarray(from, from + bytes))
    const [part] = readdirSync(folder()).filter((name) => name.endsWith('.part'))
    await until(() => statSync(path.join(folder(), part as string)).size === from + bytes)
    response.destroy()
  }

const ignoringRanges: Handler = (_, response) => {
  response.writeHead(200, { 'content-length': model.length })
  response.end(model)
}

const status =
  (code: number): Handler =>
  (_, response) => {
    response.writeHead(code)
    response.end()
  }

beforeAll(async () => {
  log = []
  store = await listen((request, response) => {
    const handler = (storage.length > 1 ? storage.shift() : storage[0]) as Handler
    handler(request, response)
  })
  hub = await listen((request, response) => {
    if (hubHandler) return hubHandler(request, response)
    const commit = { 'x-repo-commit': 'c0ffee' }
    if (request.url === `/${repo}/resolve/main/model.safetensors`) {
      response.writeHead(302, { location: `${origin(store)}/blobs/1`, ...commit, ...linked })
      return response.end()
    }
    if (request.url === `/${repo}/resolve/main/config.json`) {
      // As for a repository that was renamed: a relative redirect.
      response.writeHead(307, { location: `/renamed/resolve/main/config.json` })
      return response.end()
    }
    if (request.url === '/renamed/resolve/main/config.json') {
      response.writeHead(200, { 'content-length': config.length, etag: `"${blob}"`, ...commit })
      return response.end(request.method === 'HEAD' ? undefined : config)
    }
    response.writeHead(404, { 'x-error-code': 'EntryNotFound', 'x-error-message': 'Entry not found' })
    response.end()
  })
})

beforeEach(async () => {
  cache = await mkdtemp(path.join(os.tmpdir(), 'mactok-hub-'))
  process.env = {
    ...environment,
    MACTOK_CACHE: cache,
    HF_HOME: path.join(cache, 'huggingface'),
    HF_ENDPOINT: origin(hub)
  }
  delete process.env.HF_TOKEN
  storage = [whole]
  linked = { 'x-linked-etag': `"${sha256}"`, 'x-linked-size': `${model.length}` }
  hubHandler = undefined
  log = []
})

afterEach(async () => {
  process.env = environment
  await rm(cache, { recursive: true })
})

afterAll(() => {
  for (const server of [hub, store]) {
    server.closeAllConnections()
    server.close()
  }
})

const fast = { retryDelay: 1, attempts: 3 }
const files = ['model.safetensors']
const folder = () => path.join(cache, 'weights', ...repo.split('/'))
const gets = () => log.filter(({ method, url }) => method === 'GET' && url === '/blobs/1')

describe('pulling weights', () => {
  test('follows redirects, checks both kinds of checksum and keeps a record', async () => {
    const pulled = await pullWeights(repo, fast)
    expect(pulled).toEqual({
      folder: folder(),
      files: ['model.safetensors', 'config.json'],
      model: null,
      commit: 'c0ffee'
    })
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
    expect(await readFile(path.join(folder(), 'config.json'))).toEqual(config)
    expect((await readdir(folder())).sort()).toEqual(['config.json', 'model.safetensors', 'pulled.json'])
    const record = JSON.parse(await readFile(path.join(folder(), 'pulled.json'), 'utf8'))
    expect(record).toMatchObject({ repo, revision: 'main', commit: 'c0ffee' })
    expect(record.files['model.safetensors']).toEqual({ size: model.length, etag: sha256 })
  })

  test('downloads nothing that is up to date', async () => {
    await pullWeights(repo, fast)
    log = []
    await pullWeights(repo, fast)
    expect(log.filter(({ method }) => method === 'GET')).toEqual([])
    linked['x-linked-etag'] = '"another-version"'
    await pullWeights(repo, fast)
    expect(gets()).toHaveLength(1)
  })

  test('reports progress', async () => {
    const seen: DownloadProgress[] = []
    await pullWeights(repo, { ...fast, files, onProgress: (progress) => seen.push({ ...progress }) })
    expect(seen.at(-1)).toEqual({ file: 'model.safetensors', received: model.length, size: model.length })
    expect(seen.map(({ received }) => received)).toEqual(seen.map(({ received }) => received).sort((a, b) => a - b))
  })

  test('resumes by range after a lost connection', async () => {
    storage = [cutAfter(50_000), cutAfter(70_000), whole]
    await pullWeights(repo, { ...fast, files })
    expect(gets().map(({ range }) => range)).toEqual([undefined, 'bytes=50000-', 'bytes=120000-'])
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
  })

  test('resumes what an earlier call left unfinished', async () => {
    storage = [cutAfter(90_000), status(503)]
    await expect(pullWeights(repo, { ...fast, files })).rejects.toMatchObject({ code: 'ERR_DOWNLOAD' })
    expect((await readdir(folder())).filter((name) => !name.endsWith('.part'))).toEqual([])
    storage = [whole]
    log = []
    await pullWeights(repo, { ...fast, files })
    expect(gets().map(({ range }) => range)).toEqual(['bytes=90000-'])
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
  })

  test('starts over when the server ignores ranges', async () => {
    storage = [cutAfter(50_000), ignoringRanges]
    await pullWeights(repo, { ...fast, files })
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
  })

  test('starts over when the server has nothing beyond the part', async () => {
    storage = [cutAfter(50_000), status(416), whole]
    await pullWeights(repo, { ...fast, files })
    expect(gets().map(({ range }) => range)).toEqual([undefined, 'bytes=50000-', undefined])
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
  })

  test('of two that pull one repository at once, the second finds all of it', async () => {
    const notices: string[] = []
    const pull = () => pullWeights(repo, { ...fast, onNotice: (notice) => notices.push(notice) })
    const pulled = await Promise.all([pull(), pull()])
    expect(pulled[1]).toEqual(pulled[0])
    expect(gets()).toHaveLength(1)
    expect(notices).toEqual([expect.stringMatching(`^waiting for another pull of ${repo}: process ${process.pid} on `)])
    expect(await readdir(path.join(cache, 'weights'))).toEqual(['somebody'])
  })

  test('stops waiting for another pull on abort', async () => {
    const first = new AbortController()
    const second = new AbortController()
    const requested = new Promise<void>((resolve) => {
      storage = [() => resolve()]
    })
    const pulling = pullWeights(repo, { ...fast, files, signal: first.signal })
    await requested
    const waiting = pullWeights(repo, { ...fast, files, signal: second.signal, onNotice: () => second.abort() })
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_ABORTED', message: `Pulling ${repo} was aborted` })
    first.abort()
    await expect(pulling).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect((await readdir(path.join(cache, 'weights'))).filter((name) => name.endsWith('.lock'))).toEqual([])
  })

  test('keeps the configuration of an earlier pull until its weights are replaced', async () => {
    await pullWeights(repo, fast)
    linked['x-linked-etag'] = '"another-version"'
    storage = [status(503)]
    log = []
    await expect(pullWeights(repo, fast)).rejects.toMatchObject({ code: 'ERR_DOWNLOAD' })
    expect(log.filter(({ url }) => url.includes('config.json'))).toEqual([])
  })

  test('removes the configuration of another revision where this one has none', async () => {
    await pullWeights(repo, fast)
    hubHandler = ({ url }, response) => {
      if (url?.endsWith('config.json')) return status(404)({} as IncomingMessage, response)
      response.writeHead(200, { 'content-length': model.length, etag: `"${sha256}"` })
      response.end(model)
    }
    expect((await pullWeights(repo, { ...fast, revision: 'bare' })).files).toEqual(['model.safetensors'])
    expect((await readdir(folder())).sort()).toEqual(['model.safetensors', 'pulled.json'])
    const record = JSON.parse(await readFile(path.join(folder(), 'pulled.json'), 'utf8'))
    expect(Object.keys(record.files)).toEqual(['model.safetensors'])
  })

  test('says how Node uses a proxy, where one is named and no server is reached', async () => {
    process.env.HTTPS_PROXY = 'http://proxy.example:3128'
    const advice = /; HTTPS_PROXY is set, but Node uses it only with NODE_USE_ENV_PROXY=1/
    // Nothing listens there.
    const pull = () => pullWeights(repo, { ...fast, attempts: 1, endpoint: 'http://127.0.0.1:9' })
    await expect(pull()).rejects.toThrow(advice)
    process.env.NODE_USE_ENV_PROXY = '1'
    await expect(pull()).rejects.not.toThrow(advice)
    delete process.env.NODE_USE_ENV_PROXY
    storage = [status(503)]
    await expect(pullWeights(repo, { ...fast, files })).rejects.not.toThrow(advice)
  })

  test('refuses an address with a password, and does not show it', async () => {
    process.env.HF_ENDPOINT = 'https://user:sec/r@t@hub.example/api'
    const refused = pullWeights(repo, fast)
    await expect(refused).rejects.toThrow(RangeError)
    await expect(refused).rejects.toThrow(
      "Expected an address without user and password (HF_TOKEN holds the access token) for endpoint but received '…@hub.example/api'"
    )
    expect(log).toEqual([])
  })

  test('gives up after attempts without progress, and says why', async () => {
    storage = [status(503)]
    const message = 'failed 3 times in a row, last with: '
    await expect(pullWeights(repo, { ...fast, files })).rejects.toThrow(message)
    expect(gets()).toHaveLength(3)
  })

  test('deletes a file with the wrong checksum', async () => {
    linked['x-linked-etag'] = `"${'0'.repeat(64)}"`
    const pulling = pullWeights(repo, { ...fast, files })
    await expect(pulling).rejects.toThrow(
      `has the sha256 checksum ${sha256} instead of ${'0'.repeat(64)}; it was deleted`
    )
    await expect(pulling).rejects.toMatchObject({ code: 'ERR_DOWNLOAD' })
    expect(await readdir(folder())).toEqual([])
  })

  test('deletes a file of the wrong size', async () => {
    linked = { 'x-linked-etag': '"v1"', 'x-linked-size': `${model.length - 10}` }
    await expect(pullWeights(repo, { ...fast, files })).rejects.toThrow(
      `has ${model.length} bytes instead of ${model.length - 10}`
    )
  })

  test('reports a missing file at once', async () => {
    const pulling = pullWeights(repo, { ...fast, files: ['missing.bin'] })
    const message = `${origin(hub)}/${repo}/resolve/main/missing.bin answered 404 (Entry not found): check the names`
    await expect(pulling).rejects.toThrow(message)
    expect(log).toHaveLength(1)
  })

  test('works without config.json where there is none', async () => {
    hubHandler = ({ url }, response) => {
      if (url?.endsWith('config.json')) return status(404)({} as IncomingMessage, response)
      response.writeHead(200, { 'content-length': model.length, etag: `"${sha256}"` })
      response.end(model)
    }
    expect((await pullWeights(repo, fast)).files).toEqual(['model.safetensors'])
  })

  test.each([401, 403])('explains a %d', async (code) => {
    hubHandler = status(code)
    await expect(pullWeights(repo, fast)).rejects.toThrow('it does not exist, or is private or gated; set HF_TOKEN')
  })

  test('sends the token only to the hub', async () => {
    process.env.HF_TOKEN = 'secret'
    await pullWeights(repo, { ...fast, files })
    const tokens = new Map(log.map(({ url, authorization }) => [url, authorization]))
    expect(tokens.get(`/${repo}/resolve/main/model.safetensors`)).toBe('Bearer secret')
    expect(tokens.get('/blobs/1')).toBeUndefined()
  })

  test('sends the token of `hf auth login`, but none that would show in an error', async () => {
    await mkdir(path.join(cache, 'huggingface'))
    await writeFile(path.join(cache, 'huggingface', 'token'), 'stored\n')
    await pullWeights(repo, { ...fast, files })
    expect(log[0]?.authorization).toBe('Bearer stored')
    const refused = pullWeights(repo, { ...fast, files, token: 'secret\nword' })
    await expect(refused).rejects.toThrow('The given access token has spaces or characters that no access token has')
    await expect(refused).rejects.not.toThrow('secret')
  })

  test("takes what Python's huggingface_hub has downloaded, where the checksum is right", async () => {
    const blobs = path.join(cache, 'huggingface', 'hub', 'models--somebody--dinov2-tiny', 'blobs')
    await mkdir(blobs, { recursive: true })
    await writeFile(path.join(blobs, sha256), Buffer.alloc(model.length))
    await writeFile(path.join(blobs, blob), config)
    await pullWeights(repo, fast)
    expect(gets()).toHaveLength(1)
    expect(log.filter(({ method, url }) => method === 'GET' && url.includes('config.json'))).toEqual([])
    expect(await readFile(path.join(folder(), 'config.json'))).toEqual(config)
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)

    await rm(folder(), { recursive: true })
    await writeFile(path.join(blobs, sha256), model)
    process.env.HF_HUB_CACHE = path.dirname(path.dirname(blobs))
    process.env.HF_HOME = path.join(cache, 'elsewhere')
    await pullWeights(repo, fast)
    expect(gets()).toHaveLength(1)
    expect((await readFile(path.join(folder(), 'model.safetensors'))).equals(model)).toBe(true)
    expect((await readdir(folder())).sort()).toEqual(['config.json', 'model.safetensors', 'pulled.json'])
  })

  test('stops reading from a server that sends more than it announced', async () => {
    linked['x-linked-size'] = '100'
    let sent = 0
    storage = [
      (_, response) => {
        response.writeHead(200)
        const send = () => {
          while (!response.destroyed && response.write(model)) sent += model.length
          if (!response.destroyed) response.once('drain', send)
        }
        send()
      }
    ]
    await expect(pullWeights(repo, { ...fast, files })).rejects.toThrow(/has \d+ bytes instead of 100; it was deleted/)
    expect(sent).toBeLessThan(50_000_000)
  })

  test('stops on abort and keeps the partial file', async () => {
    storage = [
      (_, response) => {
        response.writeHead(200, { 'content-length': model.length })
        response.write(model.subarray(0, 60_000))
      }
    ]
    const controller = new AbortController()
    const onProgress = () => controller.abort()
    const pulling = pullWeights(repo, { ...fast, files, signal: controller.signal, onProgress })
    await expect(pulling).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect((await readdir(folder())).filter((name) => name.endsWith('.part'))).toHaveLength(1)
  })

  test('refuses a server that redirects in circles', async () => {
    hubHandler = ({ url }, response) => {
      response.writeHead(302, { location: url })
      response.end()
    }
    await expect(pullWeights(repo, fast)).rejects.toThrow('redirects more than 10 times')
  })

  test('does not follow a redirect that leaves TLS, by any request', async () => {
    const away = { location: 'http://mirror.example/blob', 'x-repo-commit': 'c0ffee' }
    const fetching = jest.spyOn(globalThis, 'fetch')
    const endpoint = 'https://hub.example'
    try {
      fetching.mockResolvedValue(new Response(null, { status: 302, headers: away }))
      await expect(pullWeights(repo, { ...fast, files, endpoint })).rejects.toThrow(
        'redirects to http://mirror.example/blob, which has no TLS'
      )
      expect(fetching).toHaveBeenCalledTimes(1)
      // The server describes the file itself, but sends its content from elsewhere.
      fetching.mockReset()
      fetching.mockResolvedValueOnce(new Response(null, { status: 302, headers: { ...away, ...linked } }))
      const content = Object.defineProperty(new Response(model), 'url', { value: away.location })
      fetching.mockResolvedValueOnce(content)
      await expect(pullWeights(repo, { ...fast, files, endpoint })).rejects.toThrow('which has no TLS')
      expect(await readdir(folder())).not.toContain('model.safetensors')
    } finally {
      fetching.mockRestore()
    }
  })

  test.each<[string, Parameters<typeof pullWeights>]>([
    ['repo', ['dinov2-small']],
    ['repo', ['../x']],
    ['files', [repo, { files: ['../../etc/passwd'] }]],
    ['files', [repo, { files: [] }]],
    ['endpoint', [repo, { endpoint: 'nowhere' }]],
    ['endpoint', [repo, { endpoint: 'http://hub.example' }]],
    ['endpoint', [repo, { endpoint: 'http://127.0.0.1.example' }]]
  ])('refuses a wrong %s', async (name, args) => {
    await expect(pullWeights(...args)).rejects.toThrow(RangeError)
    await expect(pullWeights(...args)).rejects.toThrow(` for ${name} but received`)
    expect(log).toEqual([])
  })
})
