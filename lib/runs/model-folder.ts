/** Finds a network's configuration and weights in model, checkpoint and run folders. */

import { basename, join } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { type Checksums, checkSeal, type RecordedChecksum, seal, unseal } from '../files/checksums.js'
import { parseJson, readJson, readText } from '../files/read.js'
import { exists } from '../files/stat.js'
import { checkFile } from '../native/checksums.js'
import { findCheckpoints, newestCheckpoint } from './checkpoint.js'

export const modelFile = 'model.safetensors'
const emaFile = 'ema.safetensors'
export const configFile = 'config.json'

/** The kinds of models that folders hold. */
export const modelKinds = ['tokenizer', 'generator'] as const

export interface ModelFiles {
  /** The content of `config.json`, without checksums. */
  config: Record<string, unknown>
  /** The path of `config.json`. */
  file: string
  weights: string
  /** What the weights are compared with while they are loaded; absent where another version or program wrote them. */
  checksum?: RecordedChecksum | undefined
}

export interface FindOptions {
  verify?: boolean
}

/**
 * Finds the model in a model folder, a checkpoint folder, or a run folder: its newest complete checkpoint whose configuration matches its
 * checksum. Warns of the damaged ones after it.
 * @param kind - the expected kind of model, `tokenizer`; or kinds, of which `config.model` says the one that was found
 * @param raw - prefer the weights in training to their moving average
 * @param options.verify - compare the weights with their checksum, too, which reads them. Default false.
 * @throws {MactokError} ERR_FORMAT when the folder has no such model, or a damaged one
 */
export async function findModel(
  folder: string,
  kind: string | readonly string[],
  raw: boolean,
  { verify = false }: FindOptions = {}
): Promise<ModelFiles> {
  const kinds = [kind].flat()
  const isModel = await exists(join(folder, configFile))
  const check = async (place: string) => {
    const weights = await chooseWeights(place, raw)
    await checkModelFiles(place, verify && (await exists(weights)) ? [basename(weights)] : [])
  }
  if (isModel) await check(folder)
  const found = isModel ? null : await findCheckpoints(folder, (checkpoint) => check(checkpoint.folder))
  const place = found?.newest?.folder ?? folder
  for (const reason of found?.damaged ?? []) {
    process.emitWarning(`${reason}; ${found?.newest ? `using ${place}` : 'there is no other'}`, 'DamagedCheckpoint')
  }
  const weights = await chooseWeights(place, raw)
  const file = join(place, configFile)
  if (!(await exists(file)) || !(await exists(weights))) {
    const expected = `config.json and ${modelFile}, or a run folder with a complete checkpoint`
    throw new MactokError('ERR_FORMAT', `${folder} holds no ${kinds.join(' or ')}: expected ${expected}`)
  }
  const { content: config, checksums } = unseal(file, await readConfig(file, kinds))
  const name = basename(weights)
  if (!raw && name !== emaFile && checksums[emaFile]) {
    const remedy = `copy ${emaFile}, the averaged weights, to it, or ask for those in training (\`raw\`)`
    throw new MactokError('ERR_FORMAT', `${place} is incomplete: ${remedy}`)
  }
  const { crc32c } = checksums[name] ?? {}
  return { config, file, weights, checksum: crc32c === undefined ? undefined : { crc32c, recorded: file } }
}

async function chooseWeights(place: string, raw: boolean): Promise<string> {
  const ema = join(place, emaFile)
  return !raw && (await exists(ema)) ? ema : join(place, modelFile)
}

/**
 * Compares a model's configuration, and files beside it, with their checksums, if it has any.
 * @throws {MactokError} ERR_FORMAT naming the file that differs
 */
export async function checkModelFiles(place: string, names: readonly string[]): Promise<void> {
  const config = join(place, configFile)
  const checksums = checkSeal(config, await readJson(config))
  for (const name of names) await checkFile(join(place, name), checksums[name], config)
}

/**
 * Finds a model whose files match their checksums, and loads it.
 * @param find - finds the model as `findModel` does
 * @param load - makes its network; where the weights' checksum is recorded, it compares them
 */
export async function findAndLoad<Found extends Pick<ModelFiles, 'checksum'>, Network>(
  find: (options: FindOptions) => Promise<Found>,
  load: (found: Found) => Promise<Network>
): Promise<{ found: Found; network: Network }> {
  const likely = await find({})
  try {
    if (likely.checksum) return { found: likely, network: await load(likely) }
  } catch (error) {
    if (!(error instanceof MactokError) || error.code !== 'ERR_FORMAT') throw error
    // Of a run, the checkpoint before may be whole.
  }
  const found = await find({ verify: true })
  return { found, network: await load(found) }
}

/**
 * Loads from a folder as `findModel` finds it; again from the newest checkpoint where a running training deleted the one that was being
 * loaded.
 * @param load - finds and loads the model
 */
export async function retryIfDeleted<T>(folder: string, load: () => Promise<T>): Promise<T> {
  for (;;) {
    const newest = await newestCheckpoint(folder)
    try {
      return await load()
    } catch (error) {
      if (!newest || (await exists(newest.folder))) throw error
    }
  }
}

async function readConfig(file: string, kinds: readonly string[]): Promise<Record<string, unknown>> {
  const content = parseJson((await readText(file)) ?? '', file)
  if (!isRecord(content) || content.formatVersion !== 1 || !kinds.some((kind) => kind === content.model)) {
    throw new MactokError('ERR_FORMAT', `${file} is not the configuration of a mactok ${kinds.join(' or ')}`)
  }
  return content
}

/** Writes the `config.json` of a model folder, with the checksums of its other files. */
export const writeConfig = (folder: string, kind: string, config: object, checksums: Checksums = {}): Promise<void> =>
  writeJson(join(folder, configFile), seal(configFile, { formatVersion: 1, model: kind, ...config }, checksums))
