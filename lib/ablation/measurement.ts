import type { ImageSource } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { TrainingData } from '../training/tokenizer/data.js'
import type { AblationConfig } from './schema.js'

/** A finished run of a row, with its averaged weights. */
export interface FinishedRun {
  /** The run folder. */
  dir: string
  /** The folder of the whole ablation. */
  out: string
  device: string | undefined
  signal: AbortSignal | undefined
  seed: number
  tokenizer: Tokenizer
  data: TrainingData
  source: ImageSource
  heldOut: ImageSource
  onBroken: (broken: Broken) => void
  config: AblationConfig
}

/**
 * Measures numbers of a finished run, by name.
 * @throws {MactokError} ERR_ABORTED when `signal` aborts; the same call resumes
 */
export type Measurement = (run: FinishedRun) => Promise<Record<string, number>>
