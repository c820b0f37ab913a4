/** Generator folders: `config.json` with everything that sampling needs, and `model.safetensors`. */

import type { Checksums } from '../files/checksums.js'
import { LatentStatistics } from '../latents/index.js'
import { type FindOptions, findModel, type ModelFiles, writeConfig } from '../runs/model-folder.js'
import { locateModel } from '../weights/locate.js'
import { readNetworkConfig } from '../weights/network-config.js'
import { type GeneratorConfig, generatorSchema, leastGeneratorParameters } from './schema.js'

/** Everything about a generator but its weights. */
export interface GeneratorIdentity {
  config: GeneratorConfig
  /** The statistics that normalised its latents; null if they were not normalised. */
  statistics: LatentStatistics | null
  /** Class names by label, if the shards had them. */
  classNames: readonly string[] | null
  /** Identity of the tokenizer whose latents it generates, if the shards named it. */
  tokenizer: string | null
}

export interface FoundGenerator extends GeneratorIdentity, Pick<ModelFiles, 'weights' | 'checksum'> {}

/** Finds a generator in a model, checkpoint or run folder, as `findModel` does, or by the name of a pulled repository. */
export async function findGenerator(folder: string, raw = false, options: FindOptions = {}): Promise<FoundGenerator> {
  const found = await findModel(await locateModel(folder), 'generator', raw, options)
  const { statistics, classNames, tokenizer } = found.config
  return {
    config: await readNetworkConfig(found, 'generator', generatorSchema, leastGeneratorParameters),
    statistics: statistics ? LatentStatistics.fromJSON(statistics as never) : null,
    classNames: (classNames as string[] | null) ?? null,
    tokenizer: (tokenizer as string | null) ?? null,
    weights: found.weights,
    checksum: found.checksum
  }
}

/** Writes the `config.json` of a generator folder. */
export const writeGeneratorConfig = (
  folder: string,
  identity: GeneratorIdentity,
  checksums: Checksums
): Promise<void> => {
  const { config, statistics, classNames, tokenizer } = identity
  return writeConfig(folder, 'generator', { generator: config, statistics, classNames, tokenizer }, checksums)
}
