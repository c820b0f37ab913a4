/** Tokenizer folders: `config.json` with the architecture, and `model.safetensors`. */

import { parseConfig } from '../config.js'
import { findModel, writeConfig } from '../runs/model-folder.js'
import { type TokenizerConfig, tokenizerSchema } from './schema.js'

export interface TokenizerFiles {
  config: TokenizerConfig
  weights: string
}

/** Resolves a tokenizer's folder as findModel does. */
export async function findTokenizer(folder: string, raw = false): Promise<TokenizerFiles> {
  const { config, weights } = await findModel(folder, 'tokenizer', raw)
  return { config: parseConfig(tokenizerSchema, config.tokenizer, 'tokenizer'), weights }
}

export const writeTokenizerConfig = (folder: string, tokenizer: TokenizerConfig): Promise<void> =>
  writeConfig(folder, 'tokenizer', { tokenizer })
