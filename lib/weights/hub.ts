import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { callbacks, natural, positive, text } from '../checks.js'
import { checkOptions } from '../config.js'
import { outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
import { fileSize } from '../files/stat.js'
import { type DownloadOptions, type DownloadProgress, describeRemote, downloadFile, isMissing } from './download.js'

export type { DownloadProgress } from './download.js'

export interface PullOptions {
  /** Branch, tag or commit. Default `main`. */
  revision?: string
  /** Files to pull. Default: `model.safetensors`, and `config.json` if there is one. */
  files?: readonly string[]
  onProgress?: (progress: DownloadProgress) => void
  /** URL of the server. Default `HF_ENDPOINT`, else Hugging Face. */
  endpoint?: string
  /** Access token. Default `HF_TOKEN`. Sent only to the endpoint, not to the storage it redirects to. */
  token?: string
  signal?: AbortSignal
  /** Attempts without any progress before giving up. Default 5. */
  attempts?: number
  /** Milliseconds before the second attempt; doubled for each further one. Default 500. */
  retryDelay?: number
}

const pullOptions = {
  revision: true,
  files: true,
  onProgress: true,
  endpoint: true,
  token: true,
  signal: true,
  attempts: true,
  retryDelay: true
} as const

export interface PulledWeights {
  /** `<cache>/weights/<repo>`. */
  folder: string
  files: string[]
  /** The commit that the revision resolved to, if the server names it. */
  commit: string | undefined
}

/** The content of `pulled.json`: what was pulled into a folder. */
interface PullRecord {
  repo: string
  revision: string
  commit?: string | undefined
  files: Record<string, { size: number; etag: string | undefined }>
}

const defaultFiles = ['config.json', 'model.safetensors']
const segment = /^(?!\.{1,2}$)[\w.-]+$/

function checkArguments(repo: string, files: readonly string[], endpoint: string): void {
  text('repo', 'a repository such as facebook/dinov2-small', repo)
  const parts = repo.split('/')
  if (parts.length !== 2 || !parts.every((part) => segment.test(part))) {
    throw outOfRange('repo', 'a repository such as facebook/dinov2-small', repo)
  }
  if (files.length === 0) throw outOfRange('files', 'at least one file', files)
  for (const file of files) {
    if (!file.split('/').every((part) => segment.test(part))) {
      throw outOfRange('files', 'a path inside the repository', file)
    }
  }
  if (!URL.canParse(endpoint)) throw outOfRange('endpoint', 'a URL', endpoint)
}

async function readRecord(file: string): Promise<PullRecord | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as PullRecord
  } catch {
    // Without a readable record, everything is downloaded again.
    return undefined
  }
}

/**
 * Downloads files of a repository into `<cache>/weights/<repo>`. Resumes unfinished downloads and keeps files that are
 * up to date.
 * @throws {MactokError} `ERR_DOWNLOAD` when a file is missing, refused, keeps failing or has the wrong checksum;
 *   `ERR_ABORTED`
 */
export async function pullWeights(repo: string, options: PullOptions = {}): Promise<PulledWeights> {
  checkOptions(options, pullOptions)
  const { revision = 'main', attempts = 5, retryDelay = 500, signal, onProgress } = options
  const endpoint = (options.endpoint ?? process.env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, '')
  const files = options.files ?? defaultFiles
  checkArguments(repo, files, endpoint)
  positive('attempts', attempts)
  natural('retryDelay', retryDelay)
  callbacks({ signal, onProgress })
  const download: DownloadOptions = {
    token: options.token ?? process.env.HF_TOKEN,
    signal,
    onProgress,
    attempts,
    retryDelay
  }
  const folder = path.join(cacheFolder(), 'weights', ...repo.split('/'))
  const recordFile = path.join(folder, 'pulled.json')
  const known = (await readRecord(recordFile))?.files ?? {}
  const record: PullRecord = { repo, revision, files: { ...known } }

  const pulled: string[] = []
  for (const name of files) {
    const url = `${endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${name}`
    const file = path.join(folder, ...name.split('/'))
    try {
      const remote = await describeRemote(url, download)
      const { size, etag, commit } = remote
      record.commit = commit ?? record.commit
      const here = await fileSize(file)
      const current = etag !== undefined && known[name]?.etag === etag && known[name]?.size === here
      if (!current) await downloadFile(url, file, remote, download)
      record.files[name] = { size: (await fileSize(file)) ?? size ?? 0, etag }
      pulled.push(name)
      await writeJson(recordFile, record)
    } catch (error) {
      const optional = options.files === undefined && name === 'config.json'
      if (!(optional && isMissing(error))) throw error
    }
  }
  return { folder, files: pulled, commit: record.commit }
}
