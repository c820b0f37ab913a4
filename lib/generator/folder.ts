/** Generator folders: `config.json` with everything that sampling needs, and `model.safetensors`. */

import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseConfig } from '../config.js'
import { MactokError } from '../errors.js'
import { LatentStatistics } from '../latents/index.js'
import { newestCheckpoint } from '../training/checkpoint.js'
import { writeJson } from '../weights/atomic.js'
import { type GeneratorConfig, generatorSchema } from './schema.js'

export const modelFile = 'model.safetensors'
const emaFile = 'ema.safetensors'
const configFile = 'config.json'

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

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )

/**
 * Resolves a generator folder, a checkpoint folder, or a run folder (its newest complete checkpoint).
 * @param raw - the weights in training instead of their average, where there are both
 * @throws {MactokError} ERR_FORMAT when the folder holds no generator
 */
export async function findGenerator(folder: string, raw = false): Promise<GeneratorIdentity & { weights: string }> {
  const checkpoint = (await exists(join(folder, configFile))) ? null : await newestCheckpoint(folder)
  const place = checkpoint?.folder ?? folder
  const ema = join(place, emaFile)
  const weights = !raw && (await exists(ema)) ? ema : join(place, modelFile)
  const file = join(place, configFile)
  if (!(await exists(file)) || !(await exists(weights))) {
    throw new MactokError(
      'ERR_FORMAT',
      `${folder} holds no generator: expected config.json and ${modelFile}, or a run folder with a complete checkpoint`
    )
  }
  return { ...(await readIdentity(file)), weights }
}

async function readIdentity(file: string): Promise<GeneratorIdentity> {
  let content: Record<string, unknown>
  try {
    content = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON`, { cause })
  }
  if (content.formatVersion !== 1 || content.model !== 'generator') {
    throw new MactokError('ERR_FORMAT', `${file} is not the configuration of a mactok generator`)
  }
  const { generator, statistics, classNames, tokenizer } = content
  return {
    config: parseConfig(generatorSchema, generator, 'generator'),
    statistics: statistics ? LatentStatistics.fromJSON(statistics as never) : null,
    classNames: (classNames as string[] | null) ?? null,
    tokenizer: (tokenizer as string | null) ?? null
  }
}

/** Writes `config.json`: with `model.safetensors` beside it a folder is a generator. */
export const writeGeneratorConfig = (folder: string, identity: GeneratorIdentity): Promise<void> => {
  const { config, statistics, classNames, tokenizer } = identity
  return writeJson(join(folder, configFile), {
    ...{ formatVersion: 1, model: 'generator' },
    ...{ generator: config, statistics, classNames, tokenizer }
  })
}
