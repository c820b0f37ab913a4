import { invalidParameter, outOfRange } from '../errors.js'
import { TrainingControl } from './control.js'

/** How a training runs, whatever it trains. */
export interface RunOptions {
  /** The run folder. */
  dir: string
  /** Steps of the whole run, instead of the configuration's. */
  steps?: number | undefined
  /** Stop after this step with a checkpoint, as if interrupted; the schedules still span all steps. */
  stopAt?: number | undefined
  /** Go on from the folder's newest complete checkpoint; start anew where there is none. */
  resume?: boolean | undefined
  /** `auto` (default), `cpu`, `cuda`, `cuda:1`. */
  device?: string | undefined
  /** Stops between two steps, after a checkpoint. */
  signal?: AbortSignal | undefined
  /** Pauses, resumes, asks for checkpoints and stops, from outside. */
  control?: TrainingControl | undefined
}

/** How a training ended. */
export interface FinishedRun {
  dir: string
  /** Steps done; fewer than `steps` after an interruption or `stopAt`. */
  step: number
  steps: number
  interrupted: boolean
}

/**
 * @internal
 * @throws {TypeError | RangeError} wrong options
 */
export function checkedRunOptions(options: RunOptions): RunOptions {
  const { dir, stopAt, resume, signal, control } = options ?? {}
  if (typeof dir !== 'string' || dir === '') throw invalidParameter('dir', 'a folder for the run', dir)
  if (stopAt !== undefined && !(Number.isInteger(stopAt) && stopAt > 0))
    throw outOfRange('stopAt', 'a positive integer', stopAt)
  if (resume !== undefined && typeof resume !== 'boolean') throw invalidParameter('resume', 'a boolean', resume)
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidParameter('signal', 'an AbortSignal', signal)
  if (control !== undefined && !(control instanceof TrainingControl))
    throw invalidParameter('control', 'a TrainingControl', control)
  return options
}
