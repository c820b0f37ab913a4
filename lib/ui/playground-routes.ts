import { type Context, Hono } from 'hono'
import { stream } from 'hono/streaming'
import type { z } from 'zod'
import { parseConfig } from '../config.js'
import { MactokError } from '../errors.js'
import { resolveDevice } from '../native/device.js'
import { readAnyRun } from '../report/run-folder.js'
import { GeneratorPlayground, sampleRequest } from './generator-playground.js'
import { reconstructionRequest, TokenizerPlayground } from './tokenizer-playground.js'

interface Options {
  device: string | undefined
  tokenizer: string | undefined
}

/** Requests that may wait for the current one. */
const mostWaiting = 4

/** `GET /` describes the playground; `POST /reconstruct` and `POST /sample` compute, one request at a time. */
export function playgroundRoutes(run: string, options: Options): { routes: Hono; dispose(): Promise<void> } {
  let playground: TokenizerPlayground | GeneratorPlayground | undefined
  let queue: Promise<unknown> = Promise.resolve()
  let waiting = 0

  const open = async () => {
    playground ??= await openPlayground(run, options)
    return playground
  }
  /** Runs one request after another: models may be replaced between two, never during one. */
  const exclusively = <T>(body: () => Promise<T>): Promise<T> => {
    if (waiting >= mostWaiting) throw new MactokError('ERR_ABORTED', 'Too many requests at once')
    waiting += 1
    const turn = queue.then(body).finally(() => {
      waiting -= 1
    })
    queue = turn.catch(() => {})
    return turn
  }

  const routes = new Hono()
    .get('/', (context) => exclusively(async () => context.json(await (await open()).describe())))
    .post('/reconstruct', async (context) => {
      const request = parseRequest(reconstructionRequest, context.req.query())
      if (request instanceof Error) return context.json({ error: request.message }, 400)
      // A slow upload keeps nobody waiting but itself.
      const bytes = Buffer.from(await context.req.arrayBuffer())
      return exclusively(async () => {
        const place = await open()
        if (place.kind !== 'tokenizer') return context.json({ error: 'This run trains a generator' }, 409)
        return context.json(await place.reconstruct(bytes, request))
      })
    })
    .post('/sample', async (context) => {
      const request = parseRequest(sampleRequest, await context.req.json().catch(() => null))
      if (request instanceof Error) return context.json({ error: request.message }, 400)
      const place = await open()
      if (place.kind !== 'generator') return context.json({ error: 'This run trains a tokenizer' }, 409)
      return sendSamples(context, (signal) => place.sample(request, signal), exclusively)
    })
  const dispose = async () => {
    await queue
    playground?.[Symbol.dispose]()
  }
  return { routes, dispose }
}

/** Streams a line of JSON per step; a client that disconnects stops the sampling. */
function sendSamples(
  context: Context,
  sample: (signal: AbortSignal) => AsyncGenerator<unknown>,
  exclusively: <T>(body: () => Promise<T>) => Promise<T>
): Response {
  context.header('content-type', 'application/x-ndjson')
  return stream(context, async (lines) => {
    const disconnected = new AbortController()
    lines.onAbort(() => disconnected.abort())
    try {
      await exclusively(async () => {
        for await (const line of sample(disconnected.signal)) await lines.writeln(JSON.stringify(line))
      })
    } catch (error) {
      if (!disconnected.signal.aborted) await lines.writeln(JSON.stringify({ error: (error as Error).message }))
    }
  })
}

async function openPlayground(run: string, { device: wanted, tokenizer }: Options) {
  const record = await readAnyRun(run)
  if (!record) throw new MactokError('ERR_FORMAT', 'There is no run in this folder yet')
  const device = resolveDevice(wanted)
  return record.kind === 'generator'
    ? new GeneratorPlayground(run, device, tokenizer ?? record.data.tokenizerFrom)
    : new TokenizerPlayground(run, device, record.settled.teacher.weights ?? 'dinov2-small')
}

/** The request, or the error about it. */
function parseRequest<S extends z.ZodType>(schema: S, input: unknown): z.output<S> | Error {
  try {
    return parseConfig(schema, input)
  } catch (error) {
    return error as Error
  }
}
