/** Tokenizer folders: `config.json` with the architecture, and `model.safetensors`. */

import { parseConfig } from '../config.js'
import { findModel, writeConfig } from '../runs/model-folder.js'
import { locateModel } from '../weights/locate.js'
import { type TokenizerConfig, tokenizerSchema } from './schema.js'

export interface FoundTokenizer {
  config: TokenizerConfig
  /** The weights' file. */
  weights: string
}

/** Finds a tokenizer in a model, checkpoint or run folder, as `findModel` does, or by the name of a pulled repository. */
export async function findTokenizer(folder: string, raw = false): Promise<FoundTokenizer> {
  const { config, weights } = await findModel(await locateModel(folder), 'tokenizer', raw)
  return { config: parseConfig(tokenizerSchema, config.tokenizer, 'tokenizer'), weights }
}

/** Writes the `config.json` of a tokenizer folder. */
export const writeTokenizerConfig = (folder: string, tokenizer: TokenizerConfig): Promise<void> =>
  writeConfig(folder, 'tokenizer', { tokenizer })
