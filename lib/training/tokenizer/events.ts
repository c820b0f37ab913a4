import type { Broken } from '../../data/reader.js'
import type { SharedEvents, SharedStepEvent, StartEvent } from '../events.js'
import type { Evaluation } from './data.js'
import type { SettledConfig } from './settle.js'

/** What listeners of a tokenizer run are called with. */
export interface TrainingEvents extends SharedEvents {
  /** `images` are trained on, `heldOut` are not. */
  start: StartEvent<SettledConfig> & { images: number; heldOut: number }
  /** At every log interval: means over the steps since the last one. */
  step: StepEvent
  evaluation: { step: number } & Evaluation
  /** A grid was written: originals, masks, reconstructions by the averaged weights. */
  grid: { step: number; file: string }
  /** Features of the teacher in its cache; only while they are computed or opened. */
  features: { done: number; total: number }
  /** An image that could not be read and was skipped; reported once per image. */
  broken: Broken
}

export interface StepEvent extends SharedStepEvent {
  /** `total`, `reconstruction`, `kl`, and `perceptual`, `adversarial`, `alignLocal`, `alignGlobal` where they are on. */
  loss: Record<string, number>
  /** dB, of the training images (masked, and sampled latents). */
  psnr: number
  /**
   * `maskRatio`, `activeUnits`, `gradNorm`, `skipped`, `skippedInARow`; groups `discriminator`, and `nonFinite`, how often which term
   * was not finite.
   */
  [metric: string]: number | Record<string, number>
  klWeight: number
  imagesPerSecond: number
}

export const trainingEventNames = [
  'start',
  'step',
  'evaluation',
  'checkpoint',
  'grid',
  'features',
  'broken',
  'profile',
  'notice'
] as const satisfies (keyof TrainingEvents)[]
