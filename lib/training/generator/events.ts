import type { ProfileFiles } from '../../profile/recording.js'
import type { GeneratorSettled } from './recipe.js'

/** What listeners of a generator run are told. */
export interface GeneratorEvents {
  start: {
    dir: string
    step: number
    steps: number
    latents: number
    classes: number
    parameters: number
    device: string
    config: GeneratorSettled
  }
  /** At every log interval: means over the steps since the last one. */
  step: GeneratorStepEvent
  /** A grid of samples was written. */
  grid: { step: number; file: string }
  checkpoint: { step: number; folder: string }
  /** The profile that was asked for is written. */
  profile: ProfileFiles
  /** Something that the user should know. */
  notice: { message: string }
}

export interface GeneratorStepEvent {
  step: number
  steps: number
  epoch: number
  /** `total`, `flow`, and `direction` where it has a weight. */
  loss: Record<string, number>
  /** `gradNorm`, `skipped`, `skippedInARow`, and `nonFinite` by term where something was not. */
  [metric: string]: number | Record<string, number>
  lr: number
  latentsPerSecond: number
  secondsLeft: number
}

/** Names of all of them, for whoever listens to or checks them. */
export const generatorEventNames = [
  'start',
  'step',
  'grid',
  'checkpoint',
  'profile',
  'notice'
] as const satisfies (keyof GeneratorEvents)[]
