import { type RunRecord, readRecord } from '../../runs/record.js'
import { type TrainingConfig, trainingSchema } from './schema.js'
import type { SettledConfig } from './settle.js'

/** What `run.json` of a tokenizer run holds. */
export type TokenizerRunRecord = RunRecord<
  'tokenizer',
  TrainingConfig,
  /** Rate, warm-up, precision, and what the teacher is used for. */
  SettledConfig,
  /** Where the images came from, how many are trained on, and hashes of their names, which older runs lack. */
  {
    from: string
    heldOutFrom: string | null
    images: number
    heldOut: number
    listing?: string
    heldOutListing?: string | null
  }
>

/** Reads a tokenizer run's record; null when the folder holds no run. Throws what readRecord throws. */
export const readTokenizerRun = (folder: string): Promise<TokenizerRunRecord | null> =>
  readRecord(folder, 'tokenizer', trainingSchema)
