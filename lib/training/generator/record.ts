import { mergeConfig, parseConfig } from '../../config.js'
import { type RunRecord, readRecord } from '../../runs/record.js'
import { type GeneratorTrainingConfig, generatorTrainingSchema } from './schema.js'
import type { SettledGeneratorConfig } from './settle.js'

/** What `run.json` of a generator run holds. */
export type GeneratorRunRecord = RunRecord<
  'generator',
  GeneratorTrainingConfig,
  SettledGeneratorConfig,
  /** Where the latents came from, how many there are, and the tokenizer that made them. */
  { from: string; latents: number; tokenizer: string | null; tokenizerFrom: string | null }
>

/** Reads a generator run's record; null when the folder holds no run. Throws what readRecord throws. */
export async function readGeneratorRun(folder: string): Promise<GeneratorRunRecord | null> {
  const record = await readRecord<GeneratorRunRecord>(folder, 'generator')
  if (!record) return null
  // Settings that the run's version did not know yet have their defaults.
  const config = parseConfig(generatorTrainingSchema, record.config)
  return { ...record, config, settled: mergeConfig(config, record.settled) as SettledGeneratorConfig }
}
