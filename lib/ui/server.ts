import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { streamSSE } from 'hono/streaming'
import { instance, integerWithin, text } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, MactokError } from '../errors.js'
import { readBytes } from '../files/read.js'
import { readPageFile } from '../page/files.js'
import { listGrids } from '../report/run-folder.js'
import { thin } from '../report/thin.js'
import { TrainingControl } from '../training/control.js'
import { guard, hostNames, parseOrigin } from './guard.js'
import { MetricsTail } from './metrics-tail.js'
import { playgroundRoutes } from './playground-routes.js'
import { type OwnTraining, readRunState } from './state.js'
import { UPLOAD_BYTES } from './upload.js'

export interface ServeRunOptions {
  /** Address to listen on. Default 127.0.0.1: reachable from this machine only. */
  host?: string
  /** Default 0: a free one. */
  port?: number
  /** Addresses under which a proxy shows the page, such as `https://example.org` or a code editor's forwarded port. */
  origins?: readonly string[] | undefined
  /** Controls the training in this process; without it the page only watches. */
  control?: TrainingControl | undefined
  /** Device of the playground. Default `auto`. */
  device?: string
  /** Folder of the tokenizer that decodes a generator's samples. Default: the one recorded in the run. */
  tokenizer?: string | undefined
}

const optionNames = { host: true, port: true, origins: true, control: true, device: true, tokenizer: true } as const

export interface LivePage {
  /** Includes the token, without which nothing is served. */
  url: string
  /** Notifies open pages and stops listening. */
  close(): Promise<void>
}

/** What strangers can take of a process that trains: a browser opens six connections, and sends a request's headers at once. */
const mostConnections = 256
const timeouts = { headersTimeout: 10_000, requestTimeout: 120_000, connectionsCheckingInterval: 2_000 }

/** Milliseconds between polls of the run folder, while a page is open. */
const interval = 500

/** Milliseconds that clients have for the last answers, at most. */
const farewell = 5_000

/**
 * Serves the live page of a run folder: curves, grids, a playground, and with a `control` buttons to pause, save and stop. The folder
 * may still be empty.
 * @throws {TypeError | RangeError} wrong options
 */
export async function serveRun(run: string, options: ServeRunOptions = {}): Promise<LivePage> {
  checkOptions(options, optionNames)
  const { host = '127.0.0.1', port = 0, origins = [], control, device, tokenizer } = options
  text('run', 'a run folder', run)
  text('host', 'an address to listen on', host)
  integerWithin('port', 0, 65535, port)
  if (!Array.isArray(origins)) throw invalidParameter('origins', 'an array of addresses', origins)
  if (control !== undefined) instance('control', 'a TrainingControl', TrainingControl, control)

  const token = randomBytes(24).toString('base64url')
  const closing = new AbortController()
  // Every open page listens to it.
  setMaxListeners(Number.POSITIVE_INFINITY, closing.signal)
  const playground = playgroundRoutes(run, { device, tokenizer })
  const app = new Hono()
    .use(guard(token, hostNames(host), origins.map(parseOrigin)))
    .use(bodyLimit({ maxSize: UPLOAD_BYTES, onError: (context) => failure(context, 413, 'Too large: at most 32 MB') }))
    .onError((error, context) => failure(context, error instanceof MactokError ? 422 : 500, error.message))
    .get(`/${token}/`, async (context) => sendFile(context, 'index.html'))
    .get(`/${token}/assets/:name`, async (context) => sendFile(context, context.req.param('name')))
    .get(`/${token}/grids/:name`, (context) => sendGrid(context, run, context.req.param('name')))
    .get(`/${token}/events`, (context) =>
      sendEvents(context, run, control ? { control, device } : null, closing.signal)
    )
    .post(`/${token}/control/:action`, (context) => applyControl(context, control))
    .route(`/${token}/playground`, playground.routes)

  const server = serve({ fetch: app.fetch, hostname: host, port, serverOptions: timeouts })
  server.maxConnections = mostConnections
  const answers = new Set<ServerResponse>()
  server.on('request', (_: unknown, answer: ServerResponse) => {
    answers.add(answer)
    answer.once('close', () => answers.delete(answer))
  })
  const { port: chosen } = await new Promise<AddressInfo>((listening, failed) => {
    server.once('listening', () => listening(server.address() as AddressInfo))
    // Later errors of the server concern its clients, not the run.
    server.on('error', (cause) =>
      failed(new MactokError('ERR_FORMAT', `Cannot listen on ${host}:${port}: ${cause.message}`, { cause }))
    )
  })
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return {
    url: `http://${shown}:${chosen}/${token}/`,
    close: async () => {
      closing.abort()
      const closed = new Promise((done) => server.close(done))
      // Open pages receive the final state before their connections, which they would keep, are closed.
      const answered = Promise.all(Array.from(answers, (answer) => new Promise((done) => answer.once('close', done))))
      await Promise.race([answered, sleep(farewell, undefined, { ref: false })])
      if ('closeAllConnections' in server) server.closeAllConnections()
      await closed
      await playground.dispose()
    }
  }
}

export const failure = (context: Context, status: 400 | 404 | 409 | 413 | 422 | 500 | 503, message: string) =>
  context.json({ error: message }, status)

async function sendFile(context: Context, name: string): Promise<Response> {
  const file = await readPageFile(name)
  return file ? context.body(file.content, 200, { 'content-type': file.type }) : failure(context, 404, 'Not found')
}

/** Sends a grid by its name in the run's list; no other path is ever opened. */
async function sendGrid(context: Context, run: string, wanted: string): Promise<Response> {
  const grid = (await listGrids(run)).find(({ name }) => name === wanted)
  if (!grid) return failure(context, 404, 'Not found')
  return context.body(new Uint8Array(await readBytes(resolve(run, 'grids', grid.name))), 200, {
    'content-type': 'image/png'
  })
}

/** Sends `lines`, what is new in the metrics log, and `state`, whenever it changes. */
function sendEvents(context: Context, run: string, own: OwnTraining | null, closing: AbortSignal): Response {
  return streamSSE(context, async (stream) => {
    const tail = new MetricsTail(run)
    let shown = ''
    for (let first = true; !stream.aborted; first = false) {
      const isLast = closing.aborted
      const { reset, lines } = await tail.read()
      if (first || reset || lines.length > 0) {
        await stream.writeSSE({
          event: 'lines',
          data: JSON.stringify({ reset: first || reset, lines: thin(lines) })
        })
      }
      const state = JSON.stringify(await readRunState(run, basename(resolve(run)), tail.last, own))
      if (state !== shown) await stream.writeSSE({ event: 'state', data: state })
      shown = state
      if (isLast) return stream.writeSSE({ event: 'end', data: '' })
      await sleep(interval, undefined, { signal: closing }).catch(() => {})
    }
  })
}

async function applyControl(context: Context, control: TrainingControl | undefined): Promise<Response> {
  if (!control || control.state === 'ended') return failure(context, 409, 'No training runs in this process')
  switch (context.req.param('action')) {
    case 'pause':
      control.pause()
      break
    case 'resume':
      control.resume()
      break
    case 'stop':
      control.stop()
      break
    case 'checkpoint':
      await control.checkpoint()
      break
    default:
      return failure(context, 404, 'Not found')
  }
  return context.json({ state: control.state })
}
