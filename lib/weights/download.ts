/** One file from a server of Hugging Face's layout: resumable, retried and checked. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MactokError } from '../errors.js'
import { syncFolder, writeFully } from '../files/atomic.js'

export interface DownloadProgress {
  file: string
  /** Bytes on disk, those of an earlier, interrupted download included. */
  received: number
  /** Bytes of the whole file, when the server says so. */
  size: number | undefined
}

export interface DownloadOptions {
  token?: string | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((progress: DownloadProgress) => void) | undefined
  /** Tries without any progress before giving up. */
  attempts: number
  /** Milliseconds before the second try; doubled for each further one, up to 30 s. */
  retryDelay: number
}

/** What the server says of a file before it is fetched. */
export interface RemoteFile {
  size: number | undefined
  /** SHA-256 for files in large-file storage, else git's blob hash; any other string only tells versions apart. */
  etag: string | undefined
  /** The commit that the revision stood for. */
  commit: string | undefined
}

/** A failure that another try cannot mend. */
class Refused extends MactokError {
  constructor(
    readonly status: number,
    message: string
  ) {
    super('ERR_DOWNLOAD', message)
  }
}

/** Whether the failure is a plain 404: the repository has no such file, or is not there. */
export const isMissing = (error: unknown): boolean => error instanceof Refused && error.status === 404

const headersFor = (token: string | undefined): Record<string, string> => ({
  'accept-encoding': 'identity',
  ...(token ? { authorization: `Bearer ${token}` } : {})
})

function check(response: Response, url: string): void {
  const { status } = response
  if (status < 400) return
  const reason = response.headers.get('x-error-message') ?? response.statusText
  const told = `${url} answered ${status}${reason ? ` (${reason})` : ''}`
  if (status === 401 || status === 403) {
    throw new Refused(
      status,
      `${told}: it does not exist, or is private or gated; set HF_TOKEN to a token that may read it`
    )
  }
  if (status === 404) throw new Refused(status, `${told}: check the names of repository, revision and file`)
  if (status === 408 || status === 429 || status >= 500) throw new Error(told)
  throw new Refused(status, told)
}

/** Repeats until success, a refusal, or `attempts` failures during which `progressed` never said so. */
async function retry<T>(
  what: string,
  options: DownloadOptions,
  progressed: () => boolean,
  run: () => Promise<T>
): Promise<T> {
  const { signal, attempts, retryDelay } = options
  for (let failures = 0; ; ) {
    try {
      signal?.throwIfAborted()
      return await run()
    } catch (error) {
      if (signal?.aborted) throw new MactokError('ERR_ABORTED', `Fetching ${what} was aborted`, { cause: error })
      if (error instanceof MactokError) throw error
      failures = progressed() ? 1 : failures + 1
      if (failures >= attempts) {
        // fetch only says `fetch failed`; the reason is its cause.
        const { message: told, cause } = error as Error & { cause?: { message?: string } }
        const message = `Fetching ${what} failed ${failures} times in a row, last by: ${cause?.message ?? told}`
        throw new MactokError('ERR_DOWNLOAD', message, { cause: error })
      }
      // An abort while waiting is told by the next round.
      await sleep(Math.min(retryDelay * 2 ** (failures - 1), 30_000), undefined, { signal }).catch(() => {})
    }
  }
}

/** Asks for size, checksum and commit; like huggingface_hub, it does not ask the storage server that large files lie on. */
export function describeRemote(url: string, options: DownloadOptions): Promise<RemoteFile> {
  return retry(
    url,
    options,
    () => false,
    async () => {
      const linked = new Map<string, string>()
      let target = url
      for (let hop = 0; hop < 10; hop++) {
        const sameOrigin = new URL(target).origin === new URL(url).origin
        const headers = headersFor(sameOrigin ? options.token : undefined)
        const response = await fetch(target, {
          method: 'HEAD',
          redirect: 'manual',
          headers,
          signal: options.signal ?? null
        })
        check(response, url)
        for (const name of ['x-linked-etag', 'x-linked-size', 'x-repo-commit']) {
          const value = response.headers.get(name)
          if (value !== null && !linked.has(name)) linked.set(name, value)
        }
        const location = response.status >= 300 ? response.headers.get('location') : null
        if (location === null || linked.has('x-linked-etag')) {
          const size =
            linked.get('x-linked-size') ?? (location === null ? response.headers.get('content-length') : null)
          const etag = linked.get('x-linked-etag') ?? response.headers.get('etag') ?? undefined
          return {
            size: size === null ? undefined : Number(size),
            etag: etag?.replace(/^(W\/)?"(.*)"$/, '$2'),
            commit: linked.get('x-repo-commit')
          }
        }
        target = new URL(location, target).href
      }
      throw new Refused(310, `${url} redirects more than 10 times`)
    }
  )
}

/** Compares a finished file with the checksum that its ETag is, if it is one. */
async function verify(file: string, url: string, { size, etag }: RemoteFile): Promise<void> {
  const found = (await stat(file)).size
  let problem = size !== undefined && found !== size ? `has ${found} bytes instead of ${size}` : undefined
  const algorithm = /^[0-9a-f]{64}$/.test(etag ?? '')
    ? 'sha256'
    : /^[0-9a-f]{40}$/.test(etag ?? '')
      ? 'sha1'
      : undefined
  if (!problem && algorithm) {
    const hash = createHash(algorithm)
    if (algorithm === 'sha1') hash.update(`blob ${found}\0`)
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
    const digest = hash.digest('hex')
    if (digest !== etag) problem = `has the ${algorithm} checksum ${digest} instead of ${etag}`
  }
  if (!problem) return
  await rm(file)
  throw new MactokError('ERR_DOWNLOAD', `What came from ${url} ${problem}; it was thrown away`)
}

/** Continues a partial file with one request. */
async function fetchRest(
  url: string,
  partial: string,
  remote: RemoteFile,
  name: string,
  options: DownloadOptions
): Promise<void> {
  const handle = await open(partial, 'a+')
  try {
    let received = (await handle.stat()).size
    if (remote.size !== undefined && received >= remote.size) return
    const headers = headersFor(options.token)
    if (received > 0) headers.range = `bytes=${received}-`
    const response = await fetch(url, { headers, signal: options.signal ?? null })
    if (response.status === 416) {
      await handle.truncate(0)
      throw new Error('the server has nothing after what was fetched before')
    }
    check(response, url)
    const resumed = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${received}-`)
    if (!resumed) {
      if (response.status === 206 && received > 0)
        throw new Refused(206, `${url} answered another range than asked for`)
      await handle.truncate(0)
      received = 0
    }
    for await (const chunk of response.body ?? []) {
      await writeFully(handle, chunk)
      received += chunk.byteLength
      options.onProgress?.({ file: name, received, size: remote.size })
    }
    if (remote.size !== undefined && received < remote.size)
      throw new Error(`the connection was cut at byte ${received}`)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Fetches a file to its place, where it appears only when complete and checked. An interrupted download leaves a hidden
 * `.part` file of that version, which the next one continues.
 * @throws MactokError `ERR_DOWNLOAD` (refused, missing, given up, wrong checksum) or `ERR_ABORTED`
 */
export async function downloadFile(
  url: string,
  file: string,
  remote: RemoteFile,
  options: DownloadOptions
): Promise<void> {
  const folder = path.dirname(file)
  await mkdir(folder, { recursive: true })
  const version = createHash('sha256')
    .update(remote.etag ?? '')
    .digest('hex')
    .slice(0, 12)
  const partial = path.join(folder, `.${path.basename(file)}.${version}.part`)
  // Without a version there is no telling whether the rest belongs to what was fetched before.
  if (remote.etag === undefined) await rm(partial, { force: true })
  // A server without ranges that is cut again and again makes no progress: only bytes beyond the furthest count.
  let furthest = 0
  let more = false
  const onProgress = (progress: DownloadProgress) => {
    more ||= progress.received > furthest
    furthest = Math.max(furthest, progress.received)
    options.onProgress?.(progress)
  }
  const progressed = () => {
    const result = more
    more = false
    return result
  }
  await retry(url, options, progressed, () =>
    fetchRest(url, partial, remote, path.basename(file), { ...options, onProgress })
  )
  await verify(partial, url, remote)
  await rename(partial, file)
  await syncFolder(folder)
}
