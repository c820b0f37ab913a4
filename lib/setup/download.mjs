// Downloads a file with checksum, progress, and resumption after an interruption.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure, progress, say } from './report.mjs'

/**
 * Fetches `url` to `path`, resuming from `path.part` where an earlier attempt stopped. `path` is only created once the
 * checksum matches.
 * @param {{ url: string, path: string, sha256: string, retries?: number, pause?: number, stall?: number }} options
 *   `pause` between attempts and `stall`, the longest silence of the server, in milliseconds
 */
export async function download({ url, path, sha256, retries = 4, pause = 1000, stall = 60_000 }) {
  mkdirSync(dirname(path), { recursive: true })
  const part = `${path}.part`
  for (let attempt = 0; ; attempt++) {
    const resumed = sizeOf(part) > 0
    try {
      await fetchRest(url, part, basename(path), stall)
      const found = await sha256Of(part)
      if (found === sha256) break
      rmSync(part)
      // The rest of an earlier attempt may be to blame: try once more from the start.
      if (resumed && attempt < retries) continue
      throw new Failure(`${basename(path)} has SHA-256 ${found} instead of ${sha256}`, [
        'a proxy or mirror may have changed it: try again, or from another network'
      ])
    } catch (error) {
      const reason = reasonOf(error)
      if (error instanceof Failure || reason === 'ENOSPC' || attempt >= retries)
        throw explained(error, reason, basename(path))
      say(`${basename(path)}: ${reason}; resuming from ${sizeOf(part)} bytes`)
      await sleep(pause * 2 ** attempt)
    }
  }
  renameSync(part, path)
}

/**
 * @param {string} url
 * @param {string} part
 * @param {string} label
 * @param {number} stall
 */
async function fetchRest(url, part, label, stall) {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(new Error(`no data for ${stall / 1000} s`)), stall)
  try {
    const start = sizeOf(part)
    const response = await fetch(url, {
      headers: start ? { range: `bytes=${start}-` } : {},
      signal: silence.signal
    })
    // The part is the whole file already; its checksum decides.
    if (response.status === 416) return
    if (!response.ok || !response.body) {
      if (response.status >= 500 || response.status === 429) throw new Error(`the server answered ${response.status}`)
      throw new Failure(`${label}: the server answered ${response.status} ${response.statusText}`)
    }
    let received = response.status === 206 ? start : 0
    const bar = progress(label, received + Number(response.headers.get('content-length') ?? 0))
    const counter = new Transform({
      transform(chunk, _, done) {
        timer.refresh()
        received += chunk.length
        bar.update(received)
        done(null, chunk)
      }
    })
    await pipeline(response.body, counter, createWriteStream(part, { flags: received ? 'a' : 'w' })).finally(bar.end)
  } finally {
    clearTimeout(timer)
  }
}

/** @param {string} path */
export async function sha256Of(path) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}

/** @param {string} path */
const sizeOf = (path) => (existsSync(path) ? statSync(path).size : 0)

/**
 * The innermost reason: `fetch` wraps the system's errors.
 * @param {unknown} error
 * @returns {string}
 */
function reasonOf(error) {
  const { code, message, cause } = /** @type {NodeJS.ErrnoException} */ (error)
  return cause ? reasonOf(cause) : (code ?? message)
}

/**
 * @param {unknown} error
 * @param {string} reason
 * @param {string} name
 */
function explained(error, reason, name) {
  if (error instanceof Failure) return error
  if (reason === 'ENOSPC')
    return new Failure(`No disk space left for ${name}`, ['free some, or set MACTOK_CACHE to a folder elsewhere'])
  return new Failure(`${name} could not be downloaded: ${reason}`, [
    'check the network, then run the same command: it resumes where it stopped'
  ])
}
