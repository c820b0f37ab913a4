import { mergeConfig, parseConfig } from '../../config.js'
import { readRecord } from '../tokenizer/record.js'
import type { GeneratorSettled } from './recipe.js'
import { type GeneratorTrainingConfig, generatorTrainingSchema } from './schema.js'

/** What `run.json` of a generator run holds. */
export interface GeneratorRunRecord {
  formatVersion: 1
  kind: 'generator'
  config: GeneratorTrainingConfig
  settled: GeneratorSettled
  /** Where the latents came from, how many, and whose. */
  data: { from: string; latents: number; tokenizer: string | null; tokenizerFrom: string | null }
  versions: Record<string, string>
}

/** A generator run's record, or null when the folder holds no run; throws what readRecord throws. */
export async function readGeneratorRun(dir: string): Promise<GeneratorRunRecord | null> {
  const record = (await readRecord(dir, 'generator')) as GeneratorRunRecord | null
  if (!record) return null
  // Settings that the run's version did not know yet have their defaults.
  const config = parseConfig(generatorTrainingSchema, record.config)
  return { ...record, config, settled: mergeConfig(config, record.settled) as GeneratorSettled }
}
