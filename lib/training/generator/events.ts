import type { SharedEvents, SharedStepEvent, StartEvent } from '../events.js'
import type { SettledGeneratorConfig } from './settle.js'

/** What listeners of a generator run are called with. */
export interface GeneratorEvents extends SharedEvents {
  start: StartEvent<SettledGeneratorConfig> & {
    latents: number
    classes: number
    /** [L, Z] or [C, H, W] */
    latentShape: number[]
    parameters: number
  }
  /** At every log interval: means over the steps since the last one. */
  step: GeneratorStepEvent
  /** Metrics of samples: `gfid` for `fid`. */
  evaluation: { step: number; [metric: string]: number }
  /** A grid of samples was written. */
  grid: { step: number; file: string }
}

export interface GeneratorStepEvent extends SharedStepEvent {
  /** `total`, `flow`, and `direction` where it has a weight. */
  loss: Record<string, number>
  /** `gradNorm`, `skipped`, `skippedInARow`, and `nonFinite` by term where something was not. */
  [metric: string]: number | Record<string, number>
  latentsPerSecond: number
}

export const generatorEventNames = [
  'start',
  'step',
  'evaluation',
  'grid',
  'checkpoint',
  'profile',
  'notice'
] as const satisfies (keyof GeneratorEvents)[]
