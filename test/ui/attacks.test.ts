import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Workplace } from '../support/images.js'
import { type Served, serve } from '../support/served.js'
import { until } from '../support/until.js'

const place = new Workplace()
let page: Served
let port: number
/** The path with the token. */
let root: string

beforeAll(async () => {
  mkdirSync(place.path('run/grids'), { recursive: true })
  const record = { formatVersion: 1, kind: 'tokenizer', config: {}, settled: {}, data: {} }
  writeFileSync(place.path('run/run.json'), JSON.stringify(record))
  writeFileSync(place.path('secret.txt'), 'not for others')
  symlinkSync(place.path('secret.txt'), place.path('run/grids/step-0000001.png'))
  page = await serve(['ui', place.path('run'), '--json'])
  const url = new URL(page.url)
  port = Number(url.port)
  root = url.pathname.slice(0, -1)
})
afterAll(async () => {
  page.interrupt()
  await page.ended
})

/** Sends bytes as they are, and waits until the server closes the connection. */
const send = (text: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (part) => {
      answer += part
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(text.replaceAll('\n', '\r\n'))
  })

/** A request that ends the connection. */
const ask = (target: string, { method = 'GET', headers = '', host = `127.0.0.1:${port}`, body = '' } = {}) =>
  send(
    `${method} ${target} HTTP/1.1\nHost: ${host}\nConnection: close\nContent-Length: ${body.length}\n${headers}\n${body}`
  )
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)

describe('without the token', () => {
  test.each([
    ['none', () => '/'],
    ['an empty one', () => '//'],
    ['its beginning', () => `${root.slice(0, -1)}/`],
    ['one character more', () => `${root}A/`],
    ['another case', () => `${root.toLowerCase()}x/`],
    ['a folder before it', () => `/x${root}/`],
    ['a way back', () => `/x/..%2f${root.slice(1)}/`],
    ['a zero byte', () => `${root}%00/`],
    ['a query', () => `/?${root}/`],
    ['a fragment', () => `/#${root}/`]
  ])('nothing is served: %s', async (_, target) => {
    expect([400, 404]).toContain(statusOf(await ask(target())))
  })
})

describe('under a foreign name', () => {
  test.each([
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '127.0.0.1@evil.example',
    'evil.example#127.0.0.1',
    '[::1].evil.example',
    '127.0.0.2',
    '0.0.0.0',
    ''
  ])('nothing is served, which stops DNS rebinding: %j', async (host) => {
    expect([400, 403]).toContain(statusOf(await ask(`${root}/`, { host })))
  })

  test('nor with two names, none, or one in the request line', async () => {
    expect(statusOf(await send(`GET ${root}/ HTTP/1.1\nConnection: close\n\n`))).toBe(400)
    const both = `GET ${root}/ HTTP/1.1\nHost: evil.example\nHost: 127.0.0.1:${port}\nConnection: close\n\n`
    expect([400, 403]).toContain(statusOf(await send(both)))
    expect([400, 403, 404]).toContain(statusOf(await ask(`http://evil.example${root}/`, { host: 'evil.example' })))
  })
})

describe('from a foreign page', () => {
  test.each(['http://evil.example', 'null', 'http://127.0.0.1', 'http://127.0.0.1.evil.example', 'file://', ''])(
    'nothing is changed: %j',
    async (origin) => {
      const answer = await ask(`${root}/control/stop`, { method: 'POST', headers: `Origin: ${origin}\n` })
      expect(statusOf(answer)).toBe(403)
    }
  )

  test.each(['PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND'])('%s does nothing', async (method) => {
    expect([400, 404, 405]).toContain(statusOf(await ask(`${root}/control/stop`, { method })))
  })

  test('a GET changes nothing, whatever method its headers name', async () => {
    const headers = 'X-HTTP-Method-Override: POST\nX-HTTP-Method: POST\n'
    expect(statusOf(await ask(`${root}/control/stop`, { headers }))).toBe(404)
  })

  test('no page may read an answer, embed it, or ask for permission', async () => {
    const headers = 'Origin: http://evil.example\nAccess-Control-Request-Method: POST\n'
    const preflight = await ask(`${root}/control/stop`, { method: 'OPTIONS', headers })
    const read = await ask(`${root}/`, { headers })
    for (const answer of [preflight, read]) expect(answer).not.toMatch(/access-control-allow/i)
    expect(read).toMatch(/frame-ancestors 'none'/)
    expect(read).toMatch(/cross-origin-resource-policy: same-origin/i)
  })
})

describe('paths', () => {
  test.each([
    '/assets/../../../../etc/passwd',
    '/assets/..%2f..%2f..%2fetc%2fpasswd',
    '/assets/%2e%2e/%2e%2e/etc/passwd',
    '/assets/..%252f..%252fetc%252fpasswd',
    '/assets/..\\..\\etc\\passwd',
    '/assets/__proto__',
    '/assets/index.html%00.css',
    '/grids/..%2frun.json',
    '/grids/%2fetc%2fpasswd'
  ])('lead nowhere: %s', async (target) => {
    expect(await ask(`${root}${target}`)).not.toMatch(/root:|formatVersion/)
    expect([400, 404]).toContain(statusOf(await ask(`${root}${target}`)))
  })

  test('a grid that is a link is no grid', async () => {
    const answer = await ask(`${root}/grids/step-0000001.png`)
    expect(statusOf(answer)).toBe(404)
    expect(answer).not.toContain('not for others')
  })
})

describe('malformed requests', () => {
  test.each([
    ['two lengths', 'Content-Length: 3\nContent-Length: 5\n\nabcde'],
    ['a length and chunks', 'Content-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n'],
    ['chunks of no length', 'Transfer-Encoding: chunked\n\nzz\nabc\n0\n\n'],
    ['a name with a space', 'Content-Length : 3\n\nabc'],
    ['a header of 20 kB', `X-Long: ${'a'.repeat(20_000)}\n\n`]
  ])('%s are refused', async (_, rest) => {
    const answer = await send(`POST ${root}/control/stop HTTP/1.1\nHost: 127.0.0.1:${port}\n${rest}`)
    expect([400, 431]).toContain(statusOf(answer))
  })

  test.each([
    ['brackets without end', '['.repeat(200_000)],
    ['a prototype', '{"__proto__":{"count":1},"classes":[],"steps":1,"guidance":1,"seed":0}'],
    ['too many samples', '{"classes":[],"count":1e9,"steps":1,"guidance":1,"seed":0}'],
    ['numbers that are none', '{"classes":[1e999],"count":1,"steps":1,"guidance":null,"seed":0}']
  ])('a request for samples with %s is refused', async (_, body) => {
    expect(statusOf(await ask(`${root}/playground/sample`, { method: 'POST', body }))).toBe(400)
  })

  test('an upgrade to another protocol is not made', async () => {
    const headers = 'Upgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n'
    expect(statusOf(await ask(`${root}/events`, { headers, method: 'POST' }))).not.toBe(101)
  })
})

describe('exhaustion', () => {
  /** Opens connections that send nothing, or a part of a request. */
  async function flood(count: number, text: string) {
    const sockets: Socket[] = []
    let closed = 0
    for (let i = 0; i < count; i++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.on('close', () => {
        closed += 1
      })
      // Until the answer is read there is no end.
      socket.resume()
      socket.write(text)
      sockets.push(socket)
    }
    const end = async () => {
      const all = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
      const open = sockets.filter((socket) => !socket.closed)
      for (const socket of open) socket.destroy()
      await Promise.all(all.filter((_, i) => !sockets[i]?.closed))
    }
    return { closed: () => closed, end }
  }

  test('a thousand connections leave the process its descriptors, and the page comes back', async () => {
    const { closed, end } = await flood(1000, '')
    await until(() => closed() >= 744, 60_000)
    expect(closed()).toBeGreaterThanOrEqual(744)
    await end()
    // A connection's end reaches the server later than its client; until then the server is full and drops new ones.
    let status = 0
    await until(async () => {
      status = statusOf(await ask(`${root}/`))
      return status === 200
    }, 60_000)
    expect(status).toBe(200)
  })

  test('headers that do not end within seconds end the connection', async () => {
    const { closed, end } = await flood(20, `GET ${root}/ HTTP/1.1\r\nHost: 127`)
    expect(statusOf(await ask(`${root}/`))).toBe(200)
    await until(() => closed() === 20, 60_000)
    expect(closed()).toBe(20)
    await end()
  })
})
