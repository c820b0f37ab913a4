/** What differs between the kinds of training: `run.ts` opens a recipe, and `loop.ts` decides when the rest is called. */

import type { Image } from '../data/decode.js'
import type { RankGroup } from '../distributed/rank-group.js'
import type { Checksums } from '../files/checksums.js'
import type { Precision } from '../native/addon.js'
import type { Checkpoint } from '../runs/checkpoint.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { RunRecord } from '../runs/record.js'
import type { Metrics } from './loop.js'
import type { Resources } from './resources.js'
import type { SharedConfig } from './schema.js'
import type { TrainerState } from './trainer-state.js'
import type { Work } from './work/work.js'

/** The record of a run of any kind. */
export type TrainingRecord = RunRecord<string, SharedConfig, SharedConfig>

/** A kind of training. */
export interface Recipe<R extends TrainingRecord, Batch> {
  readonly kind: R['kind']
  /** Reads a run folder's record; null where there is none. */
  readRecord(folder: string): Promise<R | null>
  /** Opens data, settles the configuration by them and by the device, and builds networks and trainer. */
  open(opening: Opening<R>): Promise<Session<R, Batch>>
}

/** What a recipe is opened with. */
export interface Opening<R extends TrainingRecord> {
  config: R['config']
  /** The record of the run that is resumed, and the checkpoint that it resumes from. */
  earlier: R | null
  checkpoint: Checkpoint | null
  dir: string
  device: string
  /** The ranks that train together; null: this process alone. */
  group: RankGroup | null
  /** Closes what is opened when the run ends. */
  resources: Resources
  /**
   * Called before anything large is allocated.
   * @throws {MactokError} ERR_OUT_OF_MEMORY when the device's memory does not suffice
   */
  requireFit(work: Work, settled: R['settled'] & { precision: Precision }): Promise<void>
}

/** Whether what happens every `interval` steps is still to happen after the checkpoint that is resumed from. */
export const isAhead = (interval: number, checkpoint: Checkpoint | null, steps: number): boolean =>
  Math.floor(steps / interval) > Math.floor((checkpoint?.state.step ?? 0) / interval)

/** A native trainer. */
export interface Trainer extends TrainerState {
  metrics(): Promise<Metrics>
  /** Gives rank 0 the values of a state that the ranks divide, until `release`; all ranks call both. */
  gather(): Promise<void>
  /** Gives all ranks the averaged weights of such a state, until `release`. */
  shareAverage(): Promise<void>
  release(): Promise<void>
}

/** A recipe that is opened for one run. */
export interface Session<R extends TrainingRecord, Batch> {
  /** The configuration, in which nothing depends on machine or data any more. */
  readonly settled: R['settled']
  /** What `run.json` says about the data. */
  readonly data: R['data']
  /** What the event `start` says besides what every run says. */
  readonly details: Record<string, unknown>
  /** The number of samples in an epoch, and what they are. */
  readonly samples: number
  readonly unit: 'images' | 'latents'
  /** Steps between two of a kind; null or absent: never. */
  readonly every: { evaluation?: number | null; grid: number | null }
  readonly trainer: Trainer
  /** Work before the first step; false when the signal ended it. */
  prepare?(signal: AbortSignal | undefined): Promise<boolean>
  /** Batches from a step on, without end. */
  batches(start: number): AsyncGenerator<Batch, void, undefined>
  /** Queues one optimiser step; the batch is copied before this returns. */
  step(batch: Batch, step: number): Promise<void>
  /** Names and groups the means over the steps up to `done` as a line of the metrics log does. */
  describe(metrics: Metrics, done: number): Omit<MetricsRecord, 'step'>
  /** Evaluates the averaged weights on held-out data; all ranks share the work, and the first one writes. */
  evaluate?(done: number, write: (line: MetricsRecord) => void): Promise<void>
  /** Draws a grid of images with the averaged weights. */
  grid(): Promise<Image>
  /** Writes the configuration that makes a checkpoint a model, with the checksums of its files. */
  saveConfig(folder: string, checksums: Checksums): Promise<void>
}
