import { setTimeout as sleep } from 'node:timers/promises'
import { MactokError } from '../errors.js'
import { withoutSecrets } from '../files/address.js'
import { BlockCache, blockBytes } from './block-cache.js'
import type { Bytes } from './bytes.js'

let isNoted = false

/** Warns once where the cache cannot be written, which it need not: what was read is whole. */
function noteUnwritten({ message }: Error): void {
  if (isNoted) return
  isNoted = true
  process.emitWarning(`Nothing more is kept of what servers send: ${message}`, 'DataCache')
}

interface RetryOptions {
  stallSeconds: number
  attempts: number
  retryDelay: number
}

/** The longest wait that a server may ask for, in milliseconds. */
const longestWait = 60_000

/** A failure that another attempt may not have. */
class TransientFailure extends Error {
  constructor(
    message: string,
    /** What the server asks to wait, in milliseconds. */
    readonly wait: number | null = null
  ) {
    super(message)
  }
}

/** What a server says about a file. */
interface Description {
  size: number
  /** Its ETag, else its time of change; empty where it names neither. */
  version: string
}

/**
 * A file of an HTTP(S) server, read by ranges in blocks that are kept in the cache. Connections that fail, stall or are cut, and
 * answers 408, 429 and 5xx, are tried again from the byte reached.
 * @throws {MactokError} `ERR_DOWNLOAD` for other answers, too many failures, a server without ranges, and an address that is not valid
 *   or has a user or a password, which `fetch` refuses
 */
export async function openHttpBytes(url: string, cache: BlockCache, options: RetryOptions): Promise<Bytes> {
  const name = withoutSecrets(url)
  if (!URL.canParse(url)) throw new MactokError('ERR_DOWNLOAD', `${name} is not a valid address`)
  const { username, password } = new URL(url)
  if (username || password) {
    const problem = 'addresses with a user or a password are not supported'
    throw new MactokError('ERR_DOWNLOAD', `${name} cannot be requested: ${problem}`)
  }
  const { size, version } = await retry(name, options, () => describe(url, name, options))
  const key = BlockCache.keyOf(url, version, `${size}`)
  const underway = new Map<number, Promise<Buffer>>()
  const lengthOf = (block: number) => Math.min(blockBytes, size - block * blockBytes)

  const fetchOnce = (block: number): Promise<Buffer> => {
    const running = underway.get(block)
    if (running) return running
    const fetching = fetchRange({ url, name, size, version }, block * blockBytes, lengthOf(block), options)
      .then(async (bytes) => {
        // Without a version, another run could not tell whether the file has changed.
        if (version !== '') await cache.write(`${key}/${block}`, bytes).catch(noteUnwritten)
        return bytes
      })
      .finally(() => underway.delete(block))
    underway.set(block, fetching)
    return fetching
  }
  // The images of one block are read one after the other.
  let recent: { block: number; bytes: Buffer } | null = null
  const readPart = async (block: number, from: number, to: number): Promise<Buffer> => {
    if (recent?.block === block) return recent.bytes.subarray(from, to)
    const stored = version === '' ? null : await cache.read(`${key}/${block}`, lengthOf(block), from, to - from)
    if (stored) return stored
    const bytes = await fetchOnce(block)
    recent = { block, bytes }
    return bytes.subarray(from, to)
  }

  return {
    name,
    size,
    stamp: `${size} ${version}`,
    identity: version === '' ? null : key,
    read: async (offset, length) => {
      if (offset + length > size) {
        throw new MactokError('ERR_FORMAT', `ends after ${Math.max(0, size - offset)} of ${length} bytes`)
      }
      const parts: Promise<Buffer>[] = []
      for (let at = offset; at < offset + length; ) {
        const block = Math.floor(at / blockBytes)
        const start = block * blockBytes
        const end = Math.min(offset + length, start + lengthOf(block))
        parts.push(readPart(block, at - start, end - start))
        at = end
      }
      return parts.length === 1 ? ((await parts[0]) as Buffer) : Buffer.concat(await Promise.all(parts))
    },
    close: async () => {
      recent = null
    }
  }
}

/** Tries until success, a permanent failure, or so many failures in a row without progress. */
async function retry<T>(
  name: string,
  { attempts, retryDelay }: RetryOptions,
  run: () => Promise<T>,
  hasProgressed: () => boolean = () => false
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await run()
    } catch (error) {
      if (error instanceof MactokError) throw error
      failures = hasProgressed() ? 1 : failures + 1
      // fetch reports only `fetch failed`; the reason is its cause.
      const { message, cause } = error as Error & { cause?: { message?: string } }
      if (failures >= attempts) {
        const reason = cause?.message || message
        const text = `Fetching ${name} failed ${failures} times in a row, last with: ${reason}`
        throw new MactokError('ERR_DOWNLOAD', text, { cause: error })
      }
      const asked = error instanceof TransientFailure ? error.wait : null
      await sleep(Math.min(asked ?? Math.min(retryDelay * 2 ** (failures - 1), 30_000), longestWait))
    }
  }
}

/** Milliseconds that a server asks to wait, in seconds or as a date; null where it does not. */
function retryAfter(response: Response): number | null {
  const text = response.headers.get('retry-after')
  if (text === null) return null
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isNaN(wait) ? null : Math.max(0, wait)
}

/** Requests a range, and hands its bytes on as they come; gives the connection up when none come for too long. */
async function requestRange(
  url: string,
  name: string,
  range: string,
  { stallSeconds }: RetryOptions,
  receive: (response: Response, chunk: Uint8Array | null) => boolean
): Promise<void> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const stalled = new TransientFailure(`no byte came for ${stallSeconds} s`)
  const watch = () => {
    clearTimeout(timer)
    timer = setTimeout(() => controller.abort(stalled), stallSeconds * 1000)
  }
  watch()
  try {
    const response = await fetch(url, {
      headers: { range, 'accept-encoding': 'identity' },
      signal: controller.signal
    })
    checkAnswer(response, name)
    if (!receive(response, null)) return
    for await (const chunk of response.body ?? []) {
      watch()
      if (!receive(response, chunk)) return
    }
  } finally {
    clearTimeout(timer)
    controller.abort()
  }
}

function checkAnswer({ status, statusText, headers }: Response, name: string): void {
  if (status === 206) return
  const answer = `${name} answered ${status}${statusText ? ` (${statusText})` : ''}`
  if (status === 408 || status === 429 || status >= 500) {
    throw new TransientFailure(answer, retryAfter({ headers } as Response))
  }
  const reason = status === 200 ? `${name} does not serve ranges of its files` : answer
  throw new MactokError('ERR_DOWNLOAD', `${reason}: download it, and give the local path`)
}

/** Size and version, from the answer to a request for the first byte. */
async function describe(url: string, name: string, options: RetryOptions): Promise<Description> {
  let found: Description | null = null
  await requestRange(url, name, 'bytes=0-0', options, (response) => {
    found = readDescription(response, name)
    return false
  })
  return found as unknown as Description
}

function readDescription({ headers }: Response, name: string): Description {
  const size = Number(/^bytes \d+-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ?? Number.NaN)
  if (!Number.isSafeInteger(size)) {
    throw new MactokError('ERR_DOWNLOAD', `${name} answered without the size of the file (Content-Range)`)
  }
  return { size, version: headers.get('etag') ?? headers.get('last-modified') ?? '' }
}

/** Fetches [start, start + length), resuming where a connection ended. */
async function fetchRange(
  { url, name, size, version }: Description & { url: string; name: string },
  start: number,
  length: number,
  options: RetryOptions
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let received = 0
  let before = 0
  const fetchRest = async () => {
    before = received
    const first = start + received
    await requestRange(url, name, `bytes=${first}-${start + length - 1}`, options, (response, chunk) => {
      if (chunk === null) {
        const now = readDescription(response, name)
        if (now.size !== size || now.version !== version) {
          throw new MactokError('ERR_DOWNLOAD', `${name} was changed while it was read: start again`)
        }
        if (!response.headers.get('content-range')?.startsWith(`bytes ${first}-`)) {
          throw new MactokError('ERR_DOWNLOAD', `${name} answered with another range than requested`)
        }
        return true
      }
      const part = chunk.subarray(0, length - received)
      bytes.set(part, received)
      received += part.length
      return received < length
    })
    if (received < length) throw new TransientFailure(`the connection was cut at byte ${start + received}`)
  }
  await retry(name, options, fetchRest, () => received > before)
  return bytes
}
