import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { defaultMaxPixels } from '../../lib/data/decode.js'
import { hostNames } from '../../lib/ui/guard.js'
import { MetricsTail } from '../../lib/ui/metrics-tail.js'
import { serveRun } from '../../lib/ui/server.js'
import { readUpload } from '../../lib/ui/upload.js'
import { mactok } from '../support/cli.js'
import { type Served, serve } from '../support/served.js'

let folder: string
const at = (...names: string[]) => join(folder, ...names)
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-ui-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('the server', () => {
  let page: Served
  beforeAll(async () => {
    mkdirSync(at('run', 'grids'), { recursive: true })
    writeFileSync(at('secret.png'), 'not for others')
    writeFileSync(
      at('run', 'run.json'),
      JSON.stringify({ formatVersion: 1, kind: 'tokenizer', config: {}, settled: {}, data: {} })
    )
    writeFileSync(at('run', 'metrics.jsonl'), '{"step":1,"loss":{"total":2}}\n')
    writeFileSync(at('run', 'grids', 'step-0000001.png'), 'image')
    page = await serve(['ui', at('run'), '--json', '--ui-origin', 'https://proxy.example/runs/'])
  })
  afterAll(async () => {
    page.interrupt()
    expect(await page.ended).toBe(130)
  })

  /** Sends the path as it is, and any headers. */
  const ask = (path: string, { method = 'GET', headers = {}, body = '' } = {}) => {
    const { hostname, port, pathname } = new URL(page.url)
    return new Promise<{ status: number; text: string; headers: Record<string, unknown> }>((resolve, reject) => {
      const whole = path.startsWith('/') ? path : `${pathname}${path}`
      // Each on a connection of its own: one that was refused is closed.
      const sent = request({ hostname, port, path: whole, method, headers, agent: false }, (answer) => {
        let text = ''
        answer.on('data', (part) => {
          text += part
          // Server-sent events never end.
          if (path === 'events' && text.includes('event: state')) sent.destroy()
        })
        answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text, headers: answer.headers }))
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }

  test('listens on this machine only, under its own token', async () => {
    expect(page.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/$/)
    const { status, text, headers } = await ask('')
    expect(status).toBe(200)
    expect(text).toContain('<title>mactok</title>')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['referrer-policy']).toBe('no-referrer')
  })

  test.each(['/', '/events', `/${'A'.repeat(32)}/`, '/assets/style.css'])(
    'gives nothing without the token: %s',
    async (path) => {
      expect((await ask(path)).status).toBe(404)
    }
  )

  test('refuses foreign names and origins', async () => {
    expect((await ask('', { headers: { host: 'evil.example' } })).status).toBe(403)
    expect((await ask('', { headers: { host: 'evil.example:80' } })).status).toBe(403)
    expect((await ask('', { headers: { host: 'localhost:1234' } })).status).toBe(200)
    const post = (origin: string) => ask('control/pause', { method: 'POST', headers: { origin } })
    expect((await post('http://evil.example')).status).toBe(403)
    expect((await post('null')).status).toBe(403)
    const { status, text } = await post(new URL(page.url).origin)
    expect(status).toBe(409)
    expect(JSON.parse(text)).toEqual({ error: 'No training runs in this process' })
  })

  test('says how to name a proxy, and admits one that was named', async () => {
    const post = (headers: Record<string, string>) => ask('control/pause', { method: 'POST', headers })
    const unknown = await ask('', { headers: { host: 'tunnel.example' } })
    expect(unknown.text).toBe(
      "Unknown host name tunnel.example. Behind a proxy, name the page's address by --ui-origin https://tunnel.example"
    )
    expect((await post({ origin: 'https://tunnel.example' })).text).toContain('--ui-origin https://tunnel.example')
    // With the host of the page, as nginx sends it, and with the proxy's.
    expect((await post({ origin: 'https://proxy.example' })).status).toBe(409)
    expect((await post({ origin: 'https://proxy.example', host: 'proxy.example' })).status).toBe(409)
    expect((await ask('', { headers: { host: 'proxy.example' } })).status).toBe(200)
    expect((await post({ origin: 'http://proxy.example' })).status).toBe(403)
  })

  test('sends the existing lines, then new ones', async () => {
    const { text } = await ask('events')
    expect(text).toContain('event: lines\ndata: {"reset":true,"lines":[{"step":1,"loss":{"total":2}}]}')
    expect(text).toContain('"grids":[{"name":"step-0000001.png","step":1}]')
    expect(text).toContain('"controls":false')
  })

  test('serves grids and its own files, and no other path', async () => {
    expect(await ask('grids/step-0000001.png')).toMatchObject({ status: 200, text: 'image' })
    for (const path of [
      'grids/..%2F..%2Fsecret.png',
      'grids/../../secret.png',
      'grids/step-0000002.png',
      'assets/..%2Fserver.ts',
      'assets/constructor'
    ]) {
      expect((await ask(path)).status).toBe(404)
    }
  })

  test('a stalled upload keeps nobody waiting, and twenty pages listen without a warning', async () => {
    const { hostname, port, pathname } = new URL(page.url)
    const stalled = request({
      hostname,
      port,
      path: `${pathname}playground/reconstruct?ratio=0.5&kind=random&seed=0`,
      method: 'POST',
      headers: { 'content-length': '1000' },
      agent: false
    })
    stalled.on('error', () => {})
    stalled.write('half')
    const pages = Array.from({ length: 20 }, () => ask('events'))
    // Any answer: this run's record is too short for a playground.
    expect((await ask('playground/')).status).toBeGreaterThan(200)
    await Promise.all(pages)
    stalled.destroy()
    expect(page.stderr()).not.toContain('MaxListenersExceededWarning')
  })

  test('refuses oversized uploads and malformed requests', async () => {
    // It does not read on: who still sends may find the connection closed before the answer.
    const headers = { 'content-length': String(33 * 2 ** 20) }
    const path = 'playground/reconstruct?ratio=0.5&kind=random&seed=0'
    const refused = await ask(path, { method: 'POST', headers }).catch(({ code }) => ({ status: code }))
    expect([413, 'ECONNRESET', 'EPIPE']).toContain(refused.status)
    const wrong = await ask('playground/reconstruct?ratio=2&kind=random&seed=0', { method: 'POST' })
    expect(wrong).toMatchObject({
      status: 400,
      text: '{"error":"Expected at most 1 for ratio but received \'2\' of type string"}'
    })
    const none = await ask('playground/sample', { method: 'POST', body: 'no JSON' })
    expect(none.status).toBe(400)
  })
})

describe('serveRun', () => {
  test('refuses wrong options by name', async () => {
    await expect(serveRun('')).rejects.toThrow("Expected a run folder for run but received '' of type string")
    await expect(serveRun('run', { port: 70_000 })).rejects.toThrow(
      'Expected an integer from 0 to 65535 for port but received 70000 of type number'
    )
    await expect(serveRun('run', { origins: ['proxy.example'] })).rejects.toThrow(
      "Expected addresses such as https://example.org for origins but received 'proxy.example'"
    )
    await expect(serveRun('run', { control: {} as never })).rejects.toThrow('Expected a TrainingControl for control')
  })

  test('a command reports a wrong address or run folder', async () => {
    const { code, stderr } = await mactok(['ui', at('nothing')])
    expect(code).toBe(1)
    expect(stderr).toBe(`error: There is no run in ${at('nothing')}\n`)
    expect((await mactok(['ui', at('run'), '--ui-port', 'x'])).code).toBe(2)
  })

  test('a page for the network accepts the names of this machine only', () => {
    expect(hostNames('127.0.0.1')).toEqual(expect.arrayContaining(['127.0.0.1', 'localhost', '[::1]']))
    expect(hostNames('0.0.0.0').length).toBeGreaterThan(hostNames('127.0.0.1').length)
    expect(hostNames('0.0.0.0')).not.toContain('0.0.0.0')
  })
})

describe('uploads', () => {
  const blank = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: { r: 200, g: 10, b: 30 } } })

  test.each(['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const)('%s is read and cropped', async (format) => {
    const image = await readUpload(await blank(40, 30).toFormat(format).toBuffer(), 16)
    expect([image.width, image.height, image.data.length]).toEqual([16, 16, 768])
    expect(Math.abs((image.data[0] as number) - 200)).toBeLessThan(8)
  })

  test.each([
    ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'],
    ['a PDF', '%PDF-1.4 and so on'],
    ['nothing', '']
  ])('%s never reaches a decoder', async (_, text) => {
    await expect(readUpload(Buffer.from(text), 16)).rejects.toThrow(
      'Expected an image: JPEG, PNG, WebP, AVIF, TIFF, GIF'
    )
  })

  test('refuses too many pixels before decoding them', async () => {
    const bytes = await blank(defaultMaxPixels / 4000 + 1, 4000)
      .png()
      .toBuffer()
    await expect(readUpload(bytes, 16)).rejects.toThrow('16001 × 4000 pixels, more than 64000000')
  })
})

describe('the tail of a metrics log', () => {
  test('reads complete lines as they are appended, and starts over with a new file', async () => {
    const run = at('tail')
    mkdirSync(run)
    const tail = new MetricsTail(run)
    expect(await tail.read()).toEqual({ reset: false, lines: [] })
    writeFileSync(join(run, 'metrics.jsonl'), '{"step":1,"loss":{"total":1}}\n{"step":2,')
    expect(await tail.read()).toEqual({ reset: true, lines: [{ step: 1, loss: { total: 1 } }] })
    writeFileSync(join(run, 'metrics.jsonl'), '"é":2}\n', { flag: 'a' })
    expect(await tail.read()).toEqual({ reset: false, lines: [{ step: 2, é: 2 }] })
    expect(tail.last?.step).toBe(1)
    writeFileSync(join(run, 'metrics.jsonl'), 'null\n{"step":3}\n', { flag: 'a' })
    expect(await tail.read()).toEqual({ reset: false, lines: [{ step: 3 }] })
    writeFileSync(join(run, 'metrics.jsonl'), '{"step":1}\n')
    expect(await tail.read()).toEqual({ reset: true, lines: [{ step: 1 }] })
    expect(tail.last).toBeUndefined()
  })
})
