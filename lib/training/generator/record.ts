import { type RunRecord, readRecord } from '../../runs/record.js'
import { type GeneratorTrainingConfig, generatorTrainingSchema } from './schema.js'
import type { SettledGeneratorConfig } from './settle.js'

/** What `run.json` of a generator run holds. */
export type GeneratorRunRecord = RunRecord<
  'generator',
  GeneratorTrainingConfig,
  SettledGeneratorConfig,
  /** Where the latents came from, how many there are, the tokenizer that made them, the reference of evaluations, and a hash of their names, which older runs lack. */
  {
    from: string
    latents: number
    tokenizer: string | null
    tokenizerFrom: string | null
    referenceFrom?: string | null
    listing?: string
  }
>

/** Reads a generator run's record; null when the folder holds no run. Throws what readRecord throws. */
export const readGeneratorRun = (folder: string): Promise<GeneratorRunRecord | null> =>
  readRecord(folder, 'generator', generatorTrainingSchema)
