import { mergeConfig, parseConfig } from '../../config.js'
import { type RunRecord, readRecord } from '../../runs/record.js'
import { type TrainingConfig, trainingSchema } from './schema.js'
import type { SettledConfig } from './settle.js'

/** What `run.json` of a tokenizer run holds. */
export type TokenizerRunRecord = RunRecord<
  'tokenizer',
  TrainingConfig,
  /** Rate, warm-up, precision, and what the teacher is used for. */
  SettledConfig,
  /** Where the images came from, and how many are trained on. */
  { from: string; heldOutFrom: string | null; images: number; heldOut: number }
>

/** Reads a tokenizer run's record; null when the folder holds no run. Throws what readRecord throws. */
export async function readTokenizerRun(folder: string): Promise<TokenizerRunRecord | null> {
  const record = await readRecord<TokenizerRunRecord>(folder, 'tokenizer')
  if (!record) return null
  // Settings that the run's version did not know yet have their defaults, which change nothing.
  const config = parseConfig(trainingSchema, record.config)
  return { ...record, config, settled: mergeConfig(config, record.settled) as SettledConfig }
}
