/** Tokenizer folders: `config.json` with the architecture, and `model.safetensors`. */

import type { Checksums } from '../files/checksums.js'
import { type FindOptions, findModel, type ModelFiles, writeConfig } from '../runs/model-folder.js'
import { locateModel } from '../weights/locate.js'
import { readNetworkConfig } from '../weights/network-config.js'
import { leastTokenizerParameters, type TokenizerConfig, tokenizerSchema } from './schema.js'

export interface FoundTokenizer extends Pick<ModelFiles, 'weights' | 'checksum'> {
  config: TokenizerConfig
}

/** Finds a tokenizer in a model, checkpoint or run folder, as `findModel` does, or by the name of a pulled repository. */
export async function findTokenizer(folder: string, raw = false, options: FindOptions = {}): Promise<FoundTokenizer> {
  const found = await findModel(await locateModel(folder), 'tokenizer', raw, options)
  const config = await readNetworkConfig(found, 'tokenizer', tokenizerSchema, leastTokenizerParameters)
  return { config, weights: found.weights, checksum: found.checksum }
}

/** Writes the `config.json` of a tokenizer folder. */
export const writeTokenizerConfig = (folder: string, tokenizer: TokenizerConfig, checksums: Checksums): Promise<void> =>
  writeConfig(folder, 'tokenizer', { tokenizer }, checksums)
