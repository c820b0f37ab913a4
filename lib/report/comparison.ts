/** What a comparison consists of. */

import type { LatentSummary } from '../evaluation/latent-space.js'
import type { Summary } from '../plot/summary.js'
import type { TokenizerOutcome } from './compare-models.js'
import type { Curve } from './curves.js'
import type { ReportImage } from './images.js'
import type { SettingDifference } from './settings.js'

export interface ComparedRun {
  /** The part of its path that tells it from the others. */
  name: string
  /** Its folder, or one per seed of an ablation's arm. */
  dirs: string[]
  step: number
  /** Seconds of training, without evaluations and checkpoints. */
  seconds: number
  /** Images or latents; the median over the log. */
  samplesPerSecond: number | null
  /** The shape of a latent: tokens and channels; null for a generator without a checkpoint. */
  latentShape: readonly number[] | null
  /** Numbers by the evaluation's name and the metric's; mean and standard error over seeds. */
  evaluations: Record<string, Record<string, Summary>>
  /** Of the first seed's averaged weights; null where no images were encoded. */
  latents: Pick<LatentSummary, 'images' | 'activeUnits' | 'klPerToken'> | null
}

export interface Comparison {
  file: string
  bytes: number
  kind: 'tokenizer' | 'generator'
  runs: ComparedRun[]
  /** Settings that are not the same in all runs, with a value per run. */
  settings: SettingDifference[]
  /** By metric, `loss/kl`. */
  curves: Record<string, Curve[]>
  /** What the page lacks, and why. */
  missing: string[]
}

/** What an entry's networks made, as far as they could be used. */
export interface Outcome {
  tokenizer: TokenizerOutcome | null
  samples: ReportImage | null
}
