/** Publishes a model on the Hugging Face Hub. */

import { stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { callbacks, flag, natural, pathTo, positive, text } from '../checks.js'
import { checkOptions, parseConfig } from '../config.js'
import { outOfRange } from '../errors.js'
import { seal } from '../files/checksums.js'
import { exists } from '../files/stat.js'
import { generatorSchema } from '../generator/schema.js'
import { checksum } from '../native/checksums.js'
import { newestCheckpoint } from '../runs/checkpoint.js'
import { readMetrics } from '../runs/metrics.js'
import { configFile, findModel, modelFile, modelKinds, retryIfDeleted } from '../runs/model-folder.js'
import { tokenizerSchema } from '../tokenizer/schema.js'
import { checkRepository, hubEndpoint } from '../weights/hub-settings.js'
import { readSafetensors } from '../weights/reader.js'
import { type UploadFile, type UploadProgress, uploadFiles } from '../weights/upload.js'
import { readEvaluations } from './evaluations.js'
import { type CardModel, type CardRun, writeModelCard } from './model-card.js'
import { listGrids, readAnyRun } from './run-folder.js'

export interface PushOptions {
  /** The branch to commit to. Default `main`. */
  revision?: string
  /** The commit's subject. */
  message?: string
  /** Make a new repository private. Default false. */
  private?: boolean
  /** License of the model, by the Hub's identifier such as `mit`. Default: none is named. */
  license?: string
  /** Publish the newest grid of the run, which shows held-out or training images. Default true. */
  grid?: boolean
  /** Push the weights in training instead of their moving average. Default false. */
  raw?: boolean
  onProgress?: (progress: UploadProgress) => void
  /** URL of the server. Default `HF_ENDPOINT`, else Hugging Face. */
  endpoint?: string
  /** Access token with the right to write. Default `HF_TOKEN`, else that of `hf auth login`. */
  token?: string
  signal?: AbortSignal
  /** Attempts of each request before giving up. Default 5. */
  attempts?: number
  /** Milliseconds before the second attempt; doubled for each further one. Default 500. */
  retryDelay?: number
}

const pushOptions = {
  revision: true,
  message: true,
  private: true,
  license: true,
  grid: true,
  raw: true,
  onProgress: true,
  endpoint: true,
  token: true,
  signal: true,
  attempts: true,
  retryDelay: true
} as const

export interface PushedModel {
  kind: CardModel['kind']
  /** `config.json`, `model.safetensors`, `README.md`, `mactok.py`, and `grid.png` of a run that has grids. */
  files: string[]
  /** The commit, and its page. */
  commit: string
  url: string
}

/** `python/mactok.py` of this package. */
const reader = fileURLToPath(new URL('../../python/mactok.py', import.meta.url))

const fromFile = async (name: string, file: string): Promise<UploadFile> => {
  return { path: name, content: pathToFileURL(file), size: (await stat(file)).size }
}
const fromText = (name: string, content: string): UploadFile => {
  return { path: name, content, size: Buffer.byteLength(content) }
}

/** Checks a model's configuration and completes it with defaults of settings that are newer than the folder. */
function completeConfig(config: Record<string, unknown>): { model: CardModel; content: Record<string, unknown> } {
  if (config.model === 'tokenizer') {
    const tokenizer = parseConfig(tokenizerSchema, config.tokenizer, 'tokenizer')
    return { model: { kind: 'tokenizer', config: tokenizer }, content: { ...config, tokenizer } }
  }
  const generator = parseConfig(generatorSchema, config.generator, 'generator')
  const tokenizer = typeof config.tokenizer === 'string' ? config.tokenizer : null
  return { model: { kind: 'generator', config: generator, tokenizer }, content: { ...config, generator } }
}

async function readRun(folder: string): Promise<CardRun | null> {
  const record = await readAnyRun(folder)
  if (!record) return null
  const step = (await newestCheckpoint(folder))?.state.step ?? 0
  return { record, step, evaluations: await readEvaluations(folder, readMetrics(folder)) }
}

/**
 * Publishes a tokenizer or a generator as one commit to a repository, which is made if there is none: configuration,
 * weights, a card (the folder's README.md, if it has one), Python's reader and a grid. A repeated call resumes: weights
 * that the server has are not sent again.
 * @param folder - a run (its newest checkpoint), a checkpoint, or a model folder
 * @param repo - `owner/name`
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` when the folder holds no model, or a damaged one; `ERR_UPLOAD` without an access token, for a refusal
 *   and after too many failures; `ERR_ABORTED`
 */
export async function pushModel(folder: string, repo: string, options: PushOptions = {}): Promise<PushedModel> {
  pathTo('folder', folder)
  checkRepository(repo)
  checkOptions(options, pushOptions)
  const { revision = 'main', grid = true, raw = false, license = null, attempts = 5, retryDelay = 500 } = options
  const { message = 'Push a model of mactok', signal, onProgress, token } = options
  text('revision', 'a branch', revision)
  text('message', 'a text', message)
  for (const [name, value] of Object.entries({ private: options.private ?? false, grid, raw })) flag(name, value)
  if (license !== null && !/^[\w.-]+$/.test(license)) throw outOfRange('license', 'an identifier such as mit', license)
  positive('attempts', attempts)
  natural('retryDelay', retryDelay)
  callbacks({ signal, onProgress })
  const endpoint = hubEndpoint(options.endpoint)
  const connection = { endpoint, token, revision, message, private: options.private ?? false }
  return retryIfDeleted(folder, async () => {
    const { kind, files } = await collect(folder, repo, { raw, grid, license })
    const progress = { signal, onProgress, attempts, retryDelay }
    const commit = await uploadFiles(repo, files, { ...connection, ...progress })
    return { kind, files: files.map((file) => file.path), commit: commit.oid, url: commit.url }
  })
}

/** The files of a model's repository. */
async function collect(
  folder: string,
  repo: string,
  { raw, grid, license }: { raw: boolean; grid: boolean; license: string | null }
): Promise<{ kind: CardModel['kind']; files: UploadFile[] }> {
  const found = await findModel(folder, modelKinds, raw, { verify: true })
  const { model, content } = completeConfig(found.config)
  const config = seal(configFile, content, { [modelFile]: await checksum(found.weights) })
  await using weights = await readSafetensors(found.weights)
  const sizes = [...weights.tensors.values()].map(({ shape }) => shape.reduce((product, size) => product * size, 1))
  const parameters = sizes.reduce((sum, size) => sum + size, 0)
  const run = await readRun(folder)
  const newest = grid && run ? (await listGrids(folder)).at(-1) : undefined
  const card = path.join(folder, 'README.md')
  const files = [
    fromText(configFile, `${JSON.stringify(config, null, 2)}\n`),
    await fromFile(modelFile, found.weights),
    (await exists(card))
      ? await fromFile('README.md', card)
      : fromText(
          'README.md',
          writeModelCard({ repo, model, parameters, run, grid: newest ? 'grid.png' : null, license })
        ),
    await fromFile('mactok.py', reader)
  ]
  if (newest) files.push(await fromFile('grid.png', path.join(folder, 'grids', newest.name)))
  return { kind: model.kind, files }
}
