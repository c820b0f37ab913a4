import type { Broken } from '../../data/reader.js'
import type { ProfileFiles } from '../../profile/recording.js'
import type { Evaluation } from './data.js'
import type { SettledConfig } from './settle.js'

/** What listeners are told. */
export interface TrainingEvents {
  start: {
    dir: string
    step: number
    steps: number
    images: number
    heldOut: number
    device: string
    config: SettledConfig
  }
  /** At every log interval: means over the steps since the last one. */
  step: StepEvent
  evaluation: { step: number } & Evaluation
  checkpoint: { step: number; folder: string }
  /** Sample images were written: originals, masks, reconstructions by the averaged weights. */
  grid: { step: number; file: string }
  /** Features of the teacher that lie in its cache; only while they are computed or opened. */
  features: { done: number; total: number }
  /** An image that could not be read and was left out; told once an image. */
  broken: Broken
  /** The profile that was asked for is written. */
  profile: ProfileFiles
  /** Something that the user should know, such as a teacher that is missing. */
  notice: { message: string }
}

export interface StepEvent {
  step: number
  steps: number
  epoch: number
  /** `total`, `reconstruction`, `kl`, and `perceptual`, `adversarial`, `alignLocal`, `alignGlobal` where they are on. */
  loss: Record<string, number>
  /** dB, of the training images (masked, and sampled latents). */
  psnr: number
  /**
   * `maskRatio`, `activeUnits`, `gradNorm`, `skipped`, `skippedInARow`; groups `discriminator`, and `nonFinite`, how often which term
   * was not finite.
   */
  [metric: string]: number | Record<string, number>
  lr: number
  klWeight: number
  imagesPerSecond: number
  secondsLeft: number
}

/** Names of all of them, for whoever listens to or checks them. */
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
