/** Where a tokenizer's weights lie: model folders, checkpoint folders and run folders. */

import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseConfig } from '../config.js'
import { MactokError } from '../errors.js'
import { newestCheckpoint } from '../training/checkpoint.js'
import { writeJson } from '../weights/atomic.js'
import { type TokenizerConfig, tokenizerSchema } from './schema.js'

export const modelFile = 'model.safetensors'
const emaFile = 'ema.safetensors'
const configFile = 'config.json'

/** What `config.json` of a model folder says. */
export interface ModelConfig {
  formatVersion: 1
  model: 'tokenizer'
  tokenizer: TokenizerConfig
}

export interface TokenizerFiles {
  config: TokenizerConfig
  weights: string
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )

/**
 * Resolves a model folder, a checkpoint folder, or a run folder (its newest complete checkpoint).
 * @param raw - the weights in training instead of their average, where there are both
 * @throws {MactokError} ERR_FORMAT when the folder holds no tokenizer
 */
export async function findTokenizer(folder: string, raw = false): Promise<TokenizerFiles> {
  const checkpoint = (await exists(join(folder, configFile))) ? null : await newestCheckpoint(folder)
  const place = checkpoint?.folder ?? folder
  const ema = join(place, emaFile)
  const weights = !raw && (await exists(ema)) ? ema : join(place, modelFile)
  const file = join(place, configFile)
  if (!(await exists(file)) || !(await exists(weights))) {
    throw new MactokError(
      'ERR_FORMAT',
      `${folder} holds no tokenizer: expected config.json and ${modelFile}, or a run folder with a complete checkpoint`
    )
  }
  return { config: await readConfig(file), weights }
}

async function readConfig(file: string): Promise<TokenizerConfig> {
  let content: Partial<ModelConfig>
  try {
    content = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON`, { cause })
  }
  if (content.formatVersion !== 1 || content.model !== 'tokenizer') {
    throw new MactokError('ERR_FORMAT', `${file} is not the configuration of a mactok tokenizer`)
  }
  return parseConfig(tokenizerSchema, content.tokenizer, 'tokenizer')
}

/** Writes `config.json`: with `model.safetensors` beside it a folder is a model. */
export const writeModelConfig = (folder: string, tokenizer: TokenizerConfig): Promise<void> =>
  writeJson(join(folder, configFile), { formatVersion: 1, model: 'tokenizer', tokenizer } satisfies ModelConfig)
