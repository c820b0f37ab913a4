/** Downloads a file from a server with Hugging Face's layout: resumable, retried and verified. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { MactokError } from '../errors.js'
import { withoutSecrets } from '../files/address.js'
import { syncFile, syncFolder, writeFully } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { type RetryOptions, retry } from './retry.js'

export interface DownloadProgress {
  file: string
  /** Bytes on disk, including those of an earlier, interrupted download. */
  received: number
  /** Bytes of the whole file, if the server sends its size. */
  size: number | undefined
}

export interface DownloadOptions extends RetryOptions {
  token?: string | undefined
  onProgress?: ((progress: DownloadProgress) => void) | undefined
}

const fetching = (url: string) => ({ action: `Fetching ${url}`, code: 'ERR_DOWNLOAD' }) as const

/** The server's description of a file. */
export interface RemoteFile {
  size: number | undefined
  /** SHA-256 for files in large-file storage, else git's blob hash; any other string only identifies the version. */
  etag: string | undefined
  /** The commit that the revision resolved to. */
  commit: string | undefined
}

/** A failure that retrying cannot fix. */
class PermanentFailure extends MactokError {
  constructor(
    readonly status: number,
    message: string
  ) {
    super('ERR_DOWNLOAD', message)
  }
}

/** Whether the failure is a plain 404: there is no such file, or no such repository. */
export const isMissing = (error: unknown): boolean => error instanceof PermanentFailure && error.status === 404

const headersFor = (token: string | undefined): Record<string, string> => ({
  'accept-encoding': 'identity',
  ...(token ? { authorization: `Bearer ${token}` } : {})
})

/** Throws for a status of 400 or above. */
function checkStatus(response: Response, url: string): void {
  const { status } = response
  if (status < 400) return
  const reason = response.headers.get('x-error-message') ?? response.statusText
  const answer = `${url} answered ${status}${reason ? ` (${reason})` : ''}`
  if (status === 401 || status === 403) {
    throw new PermanentFailure(
      status,
      `${answer}: it does not exist, or is private or gated; set HF_TOKEN to a token that may read it`
    )
  }
  if (status === 404) {
    throw new PermanentFailure(status, `${answer}: check the names of repository, revision and file`)
  }
  if (status === 408 || status === 429 || status >= 500) throw new Error(answer)
  throw new PermanentFailure(status, answer)
}

/** Refuses to leave TLS where a server redirects. */
function requireTls(from: string, to: string): void {
  if (!from.startsWith('https:') || to.startsWith('https:')) return
  throw new PermanentFailure(310, `${withoutSecrets(from)} redirects to ${withoutSecrets(to)}, which has no TLS`)
}

/** Requests size, checksum and commit; like huggingface_hub, it does not query the storage server of large files. */
export function describeRemote(url: string, options: DownloadOptions): Promise<RemoteFile> {
  return retry(fetching(url), options, async () => {
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
      checkStatus(response, url)
      for (const name of ['x-linked-etag', 'x-linked-size', 'x-repo-commit']) {
        const value = response.headers.get(name)
        if (value !== null && !linked.has(name)) linked.set(name, value)
      }
      const location = response.status >= 300 ? response.headers.get('location') : null
      if (location === null || linked.has('x-linked-etag')) {
        const size = linked.get('x-linked-size') ?? (location === null ? response.headers.get('content-length') : null)
        const etag = linked.get('x-linked-etag') ?? response.headers.get('etag') ?? undefined
        return {
          size: size === null ? undefined : Number(size),
          etag: etag?.replace(/^(W\/)?"(.*)"$/, '$2'),
          commit: linked.get('x-repo-commit')
        }
      }
      const next = new URL(location, target).href
      requireTls(target, next)
      target = next
    }
    throw new PermanentFailure(310, `${url} redirects more than 10 times`)
  })
}

/** Describes how a complete file's size, or its checksum if the ETag is one, differs from the server's. */
export async function findMismatch(file: string, { size, etag }: RemoteFile): Promise<string | undefined> {
  const found = (await stat(file)).size
  if (size !== undefined && found !== size) return `has ${found} bytes instead of ${size}`
  const algorithm = /^[0-9a-f]{64}$/.test(etag ?? '')
    ? 'sha256'
    : /^[0-9a-f]{40}$/.test(etag ?? '')
      ? 'sha1'
      : undefined
  if (!algorithm) return undefined
  const hash = createHash(algorithm)
  if (algorithm === 'sha1') hash.update(`blob ${found}\0`)
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  const digest = hash.digest('hex')
  return digest === etag ? undefined : `has the ${algorithm} checksum ${digest} instead of ${etag}`
}

/** Deletes a complete file that is not the server's. */
async function verify(file: string, url: string, remote: RemoteFile): Promise<void> {
  const problem = await findMismatch(file, remote)
  if (!problem) return
  await rm(file)
  throw new MactokError('ERR_DOWNLOAD', `The file from ${url} ${problem}; it was deleted`)
}

/** Resumes a partial file with one request. */
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
    requireTls(url, response.url)
    if (response.status === 416) {
      await handle.truncate(0)
      throw new Error('the server has nothing beyond the part fetched before')
    }
    checkStatus(response, url)
    const resumed = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${received}-`)
    if (!resumed) {
      if (response.status === 206 && received > 0) {
        throw new PermanentFailure(206, `${url} answered with another range than requested`)
      }
      await handle.truncate(0)
      received = 0
    }
    for await (const chunk of response.body ?? []) {
      await writeFully(handle, chunk)
      received += chunk.byteLength
      options.onProgress?.({ file: name, received, size: remote.size })
      // Too much is reported by the verification; a server that never ends would fill the disk.
      if (remote.size !== undefined && received > remote.size) break
    }
    if (remote.size !== undefined && received < remote.size) {
      throw new Error(`the connection was cut at byte ${received}`)
    }
    await syncFile(handle)
  } finally {
    await handle.close()
  }
}

/**
 * Downloads a file; it appears under its name only when complete and verified. An interrupted download leaves a hidden
 * `.part` file of that version, which the next one resumes.
 * @throws {MactokError} `ERR_DOWNLOAD` (refused, missing, too many failures, wrong checksum) or `ERR_ABORTED`
 */
export async function downloadFile(
  url: string,
  file: string,
  remote: RemoteFile,
  options: DownloadOptions
): Promise<void> {
  const folder = path.dirname(file)
  await makeFolder(folder)
  const version = createHash('sha256')
    .update(remote.etag ?? '')
    .digest('hex')
    .slice(0, 12)
  const partial = path.join(folder, `.${path.basename(file)}.${version}.part`)
  // Without a version nobody knows whether the rest belongs to the part fetched before.
  if (remote.etag === undefined) await rm(partial, { force: true })
  // Only bytes beyond the furthest count as progress: a server without ranges starts from zero each time.
  let furthest = 0
  let progressed = false
  const onProgress = (progress: DownloadProgress) => {
    progressed ||= progress.received > furthest
    furthest = Math.max(furthest, progress.received)
    options.onProgress?.(progress)
  }
  const hasProgressed = () => {
    const result = progressed
    progressed = false
    return result
  }
  const fetchOnce = () => fetchRest(url, partial, remote, path.basename(file), { ...options, onProgress })
  await retry(fetching(url), options, fetchOnce, hasProgressed)
  await verify(partial, url, remote)
  await rename(partial, file)
  await syncFolder(folder)
}
