import type { ProfileFiles } from '../profile/recording.js'
import type { SharedConfig } from './schema.js'
import type { Fit } from './work/fit.js'

/** What listeners of every run are called with. */
export interface SharedEvents {
  start: StartEvent
  /** At every log interval: means over the steps since the last one. */
  step: SharedStepEvent
  checkpoint: { step: number; folder: string }
  /** A grid of images was written. */
  grid: { step: number; file: string }
  /** The requested profile was written. */
  profile: ProfileFiles
  /** Something that the user should know. */
  notice: { message: string }
}

export interface StartEvent<Settled = SharedConfig> {
  dir: string
  /** Steps done before. */
  step: number
  /** Steps of the whole run. */
  steps: number
  device: string
  config: Settled
  /** Bytes that the run is expected to need on its device, and what there is; null where that is unknown. */
  memory: Fit | null
}

export interface SharedStepEvent {
  step: number
  steps: number
  epoch: number
  /** `total`, and the terms that are on. */
  loss: Record<string, number>
  /** Other metrics by name, some in groups. */
  [metric: string]: number | Record<string, number>
  lr: number
  secondsLeft: number
}
