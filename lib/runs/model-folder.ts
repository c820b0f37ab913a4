/** Finds a network's configuration and weights in model, checkpoint and run folders. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { parseJson } from '../files/read.js'
import { exists } from '../files/stat.js'
import { findCheckpoints, newestCheckpoint } from './checkpoint.js'

export const modelFile = 'model.safetensors'
const emaFile = 'ema.safetensors'
const configFile = 'config.json'

/** The kinds of models that folders hold. */
export const modelKinds = ['tokenizer', 'generator'] as const

export interface ModelFiles {
  /** The content of `config.json`. */
  config: Record<string, unknown>
  /** The path of `config.json`. */
  file: string
  weights: string
}

/**
 * Finds the model in a model folder, a checkpoint folder, or a run folder (its newest complete checkpoint).
 * @param kind - the expected kind of model, `tokenizer`; or kinds, of which `config.model` says the one that was found
 * @param raw - prefer the weights in training to their moving average
 * @throws {MactokError} ERR_FORMAT when the folder has no such model
 */
export async function findModel(folder: string, kind: string | readonly string[], raw: boolean): Promise<ModelFiles> {
  const kinds = [kind].flat()
  const found = (await exists(join(folder, configFile))) ? null : await findCheckpoints(folder)
  const place = found?.newest?.folder ?? folder
  for (const reason of found?.damaged ?? []) {
    process.emitWarning(`${reason}; ${found?.newest ? `using ${place}` : 'there is no other'}`, 'DamagedCheckpoint')
  }
  const ema = join(place, emaFile)
  const weights = !raw && (await exists(ema)) ? ema : join(place, modelFile)
  const file = join(place, configFile)
  if (!(await exists(file)) || !(await exists(weights))) {
    const expected = `config.json and ${modelFile}, or a run folder with a complete checkpoint`
    throw new MactokError('ERR_FORMAT', `${folder} holds no ${kinds.join(' or ')}: expected ${expected}`)
  }
  return { config: await readConfig(file, kinds), file, weights }
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
  const content = parseJson(await readFile(file, 'utf8'), file)
  if (!isRecord(content) || content.formatVersion !== 1 || !kinds.includes(String(content.model))) {
    throw new MactokError('ERR_FORMAT', `${file} is not the configuration of a mactok ${kinds.join(' or ')}`)
  }
  return content
}

/** Writes the `config.json` of a model folder. */
export const writeConfig = (folder: string, kind: string, config: object): Promise<void> =>
  writeJson(join(folder, configFile), { formatVersion: 1, model: kind, ...config })
