/** Generator folders: `config.json` with everything that sampling needs, and `model.safetensors`. */

import { parseConfig } from '../config.js'
import { LatentStatistics } from '../latents/index.js'
import { findModel, writeConfig } from '../runs/model-folder.js'
import { type GeneratorConfig, generatorSchema } from './schema.js'

/** What a generator is about besides its weights. */
export interface GeneratorIdentity {
  config: GeneratorConfig
  /** What its latents were normalised with; null: they are used as they are. */
  statistics: LatentStatistics | null
  /** Class names by label, where the shards had them. */
  classNames: readonly string[] | null
  /** Identity of the tokenizer whose latents it makes, where the shards told. */
  tokenizer: string | null
}

/** Resolves a generator's folder as findModel does. */
export async function findGenerator(folder: string, raw = false): Promise<GeneratorIdentity & { weights: string }> {
  const { config, weights } = await findModel(folder, 'generator', raw)
  const { generator, statistics, classNames, tokenizer } = config
  return {
    config: parseConfig(generatorSchema, generator, 'generator'),
    statistics: statistics ? LatentStatistics.fromJSON(statistics as never) : null,
    classNames: (classNames as string[] | null) ?? null,
    tokenizer: (tokenizer as string | null) ?? null,
    weights
  }
}

export const writeGeneratorConfig = (folder: string, identity: GeneratorIdentity): Promise<void> => {
  const { config, statistics, classNames, tokenizer } = identity
  return writeConfig(folder, 'generator', { generator: config, statistics, classNames, tokenizer })
}
