/** Uploads files to a repository of the Hugging Face Hub as one commit: resumable, retried. */

import type { CommitOutput, HubApiError } from '@huggingface/hub'
import { MactokError } from '../errors.js'
import { withoutSecrets } from '../files/address.js'
import { hubToken } from './hub-settings.js'
import { type RetryOptions, retry } from './retry.js'

export interface UploadProgress {
  /** Its path in the repository. */
  file: string
  /** Bytes sent. A file that the server has already counts as sent. */
  sent: number
  size: number
}

export interface UploadOptions extends RetryOptions {
  endpoint: string
  token?: string | undefined
  /** The branch to commit to. */
  revision: string
  /** The commit's subject. */
  message: string
  /** Of a repository that does not exist yet. */
  private: boolean
  onProgress?: ((progress: UploadProgress) => void) | undefined
}

export interface UploadFile {
  /** Its path in the repository. */
  path: string
  /** A text, or the URL of a file. */
  content: string | URL
  size: number
}

/** The same bytes, reported as they are read. */
class CountedBlob extends Blob {
  readonly #source: Blob
  readonly #onBytes: (count: number) => void
  override readonly size: number

  constructor(source: Blob, onBytes: (count: number) => void) {
    super([])
    this.#source = source
    this.#onBytes = onBytes
    this.size = source.size
  }

  override stream(): ReturnType<Blob['stream']> {
    const counted = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.#onBytes(chunk.byteLength)
        controller.enqueue(chunk)
      }
    })
    return this.#source.stream().pipeThrough(counted) as ReturnType<Blob['stream']>
  }
}

/** A `fetch` that repeats what fails for a while, and counts the bytes of files. */
function uploadingFetch(files: readonly UploadFile[], { onProgress, ...options }: UploadOptions): typeof fetch {
  const sent = new Map<string, number>()
  const count = (file: UploadFile, bytes: number) => {
    const total = (sent.get(file.path) ?? 0) + bytes
    sent.set(file.path, total)
    onProgress?.({ file: file.path, sent: Math.min(total, file.size), size: file.size })
  }
  return async (input, init) => {
    const url = String(input instanceof Request ? input.url : input)
    // The library says which file a body is, or is a part of.
    const { progressHint } = (init ?? {}) as { progressHint?: { path?: string } }
    const file = files.find(({ path }) => path === progressHint?.path)
    const send = async () => {
      let bytes = 0
      const onBytes = (more: number) => {
        bytes += more
        if (file) count(file, more)
      }
      const counted = file && init?.body instanceof Blob ? { body: new CountedBlob(init.body, onBytes) } : {}
      try {
        const response = await fetch(input, { ...init, ...counted })
        const isTransient = response.status === 408 || response.status === 429 || response.status >= 500
        if (isTransient) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim())
        return response
      } catch (error) {
        if (file) count(file, -bytes)
        throw error
      }
    }
    // Nobody knows whether a commit whose answer was lost has been made.
    const attempts = url.includes('/commit/') ? 1 : options.attempts
    return retry({ action: `Sending to ${withoutSecrets(url)}`, code: 'ERR_UPLOAD' }, { ...options, attempts }, send)
  }
}

/** Explains a refusal of the server. */
function explain(error: unknown, repo: string): unknown {
  const { statusCode, url, data } = error as Partial<HubApiError>
  if (error instanceof MactokError || statusCode === undefined) return error
  const given = data?.error ?? data?.message
  const reason = given ? ` (${String(given).slice(0, 200)})` : ''
  const answer = `${withoutSecrets(url ?? 'the server')} answered ${statusCode}${reason}`
  const advice: Record<number, string> = {
    401: 'the access token is wrong or has expired; set HF_TOKEN to one with the right to write',
    403: `the access token has no right to write to ${repo}`,
    404: 'check the names of repository and revision',
    409: `another commit changed ${repo} in the meantime; push again`,
    412: `another commit changed ${repo} in the meantime; push again`
  }
  const message = [answer, advice[statusCode]].filter(Boolean).join(': ')
  return new MactokError('ERR_UPLOAD', message, { cause: error })
}

/**
 * Commits files to a model repository, which is made if there is none. Files of large-file storage that the server has
 * are not sent again, so a repeated call resumes an interrupted one.
 * @throws {MactokError} `ERR_UPLOAD` without an access token, for a refusal, and after too many failures; `ERR_ABORTED`
 */
export async function uploadFiles(
  repo: string,
  files: readonly UploadFile[],
  options: UploadOptions
): Promise<CommitOutput['commit']> {
  const accessToken = await hubToken(options.token)
  const advice = 'set HF_TOKEN to one of https://huggingface.co/settings/tokens that may write, or run `hf auth login`'
  if (accessToken === undefined) throw new MactokError('ERR_UPLOAD', `There is no access token: ${advice}`)
  if (!accessToken.startsWith('hf_')) {
    throw new MactokError('ERR_UPLOAD', `The access token does not begin with hf_: ${advice}`)
  }
  // Large, and of no use to anything else.
  const { createRepo, commitIter } = await import('@huggingface/hub')
  const connection = { repo, accessToken, hubUrl: options.endpoint, fetch: uploadingFetch(files, options) }
  try {
    await createRepo({ ...connection, visibility: options.private ? 'private' : 'public' }).catch((error) => {
      // It exists already.
      if (error.statusCode !== 409) throw error
    })
    const committing = commitIter({
      ...connection,
      operations: files.map(({ path, content }) => {
        return { operation: 'addOrUpdate', path, content: content instanceof URL ? content : new Blob([content]) }
      }),
      title: options.message,
      branch: options.revision,
      useXet: false,
      ...(options.signal ? { abortSignal: options.signal } : {})
    })
    for (;;) {
      const { done, value } = await committing.next()
      if (done) return (value as CommitOutput).commit
      const file = value.event === 'fileProgress' && files.find(({ path }) => path === value.path)
      // What the server has already, too.
      if (file && value.state === 'uploading' && value.progress === 1) {
        options.onProgress?.({ file: file.path, sent: file.size, size: file.size })
      }
    }
  } catch (error) {
    if (options.signal?.aborted)
      throw new MactokError('ERR_ABORTED', `Pushing to ${repo} was aborted`, { cause: error })
    throw explain(error, repo)
  }
}
