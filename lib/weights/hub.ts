import { rm } from 'node:fs/promises'
import path from 'node:path'
import { callbacks, natural, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
import { type Lock, waitForLock } from '../files/lock.mjs'
import { makeFolder, notWritable } from '../files/make-folder.js'
import { readJson, readText } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { type DownloadOptions, type DownloadProgress, describeRemote, downloadFile, isMissing } from './download.js'
import { takeCachedFile } from './hub-cache.js'
import { checkRepository, hubEndpoint, hubToken, isRepositoryPath } from './hub-settings.js'

export type { DownloadProgress } from './download.js'

export interface PullOptions {
  /** Branch, tag or commit. Default `main`. */
  revision?: string
  /** Files to pull. Default: `model.safetensors`, and `config.json` if there is one. */
  files?: readonly string[]
  onProgress?: (progress: DownloadProgress) => void
  /** Told, for example, of another process that pulls the same repository, whose end is waited for. */
  onNotice?: (message: string) => void
  /** URL of the server. Default `HF_ENDPOINT`, else Hugging Face. */
  endpoint?: string
  /**
   * Access token. Default `HF_TOKEN`, else that of `hf auth login`. Sent only to the endpoint, not to the storage it
   * redirects to.
   */
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
  onNotice: true,
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
  /** Whether `config.json` describes a tokenizer or a generator, which `load` takes by the repository's name. */
  model: 'tokenizer' | 'generator' | null
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

/** Weights first: while they are downloaded, those of an earlier pull stay beside their own configuration. */
const defaultFiles = ['model.safetensors', 'config.json']

/** The kind of model that a pulled `config.json` describes. */
async function readModel(folder: string): Promise<PulledWeights['model']> {
  const { model } = await readJson(path.join(folder, 'config.json')).catch((): Record<string, unknown> => ({}))
  return model === 'tokenizer' || model === 'generator' ? model : null
}

async function readRecord(file: string): Promise<PullRecord | undefined> {
  try {
    return JSON.parse((await readText(file)) ?? '') as PullRecord
  } catch {
    // Without a readable record, everything is downloaded again.
    return undefined
  }
}

/** Locks a repository's folder, in which one process at a time may continue a download and its record. */
async function lockRepository(repo: string, { signal, onNotice }: PullOptions): Promise<Lock> {
  const folder = path.join(cacheFolder(), 'weights')
  await makeFolder(folder)
  const file = path.join(folder, `.${repo.replace('/', '--')}.lock`)
  const explain = (cause: unknown) => notWritable(folder, cause)
  return waitForLock(file, `another pull of ${repo}`, { onWait: onNotice, signal, explain }).catch((error) => {
    throw signal?.aborted ? new MactokError('ERR_ABORTED', `Pulling ${repo} was aborted`, { cause: error }) : error
  })
}

/**
 * Downloads files of a repository, weights or a model, into `<cache>/weights/<repo>`. Resumes unfinished downloads, keeps
 * files that are up to date, and takes those that Python's `huggingface_hub` has downloaded from its cache. Waits while
 * another process pulls the same repository.
 * @throws {MactokError} `ERR_DOWNLOAD` when a file is missing, refused, keeps failing or has the wrong checksum;
 *   `ERR_ABORTED`
 */
export async function pullWeights(repo: string, options: PullOptions = {}): Promise<PulledWeights> {
  checkOptions(options, pullOptions)
  const { revision = 'main', attempts = 5, retryDelay = 500, signal, onProgress, onNotice } = options
  const files = options.files ?? defaultFiles
  checkRepository(repo)
  if (files.length === 0) throw outOfRange('files', 'at least one file', files)
  const outside = files.find((file) => !isRepositoryPath(file))
  if (outside !== undefined) throw outOfRange('files', 'a path inside the repository', outside)
  const endpoint = hubEndpoint(options.endpoint)
  positive('attempts', attempts)
  natural('retryDelay', retryDelay)
  callbacks({ signal, onProgress, onNotice })
  const download: DownloadOptions = {
    token: await hubToken(options.token),
    signal,
    onProgress,
    attempts,
    retryDelay
  }
  const lock = await lockRepository(repo, options)
  try {
    const optional = options.files ? [] : ['config.json']
    return await pullFiles({ endpoint, repo, revision, files, optional }, download)
  } finally {
    lock.release()
  }
}

interface Requested {
  endpoint: string
  repo: string
  revision: string
  files: readonly string[]
  /** Those of the files that a repository may lack. */
  optional: readonly string[]
}

async function pullFiles(
  { endpoint, repo, revision, files, optional }: Requested,
  download: DownloadOptions
): Promise<PulledWeights> {
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
      if (!current && !(await takeCachedFile(repo, remote, file))) await downloadFile(url, file, remote, download)
      record.files[name] = { size: (await fileSize(file)) ?? size ?? 0, etag }
      pulled.push(name)
    } catch (error) {
      if (!(optional.includes(name) && isMissing(error))) throw error
      // That of another revision describes other weights.
      if (known[name]) await rm(file, { force: true })
      delete record.files[name]
    }
    await writeJson(recordFile, record)
  }
  const model = pulled.includes('config.json') ? await readModel(folder) : null
  return { folder, files: pulled, model, commit: record.commit }
}
