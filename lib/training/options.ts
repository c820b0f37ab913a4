import { flag, instance, pathTo, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { TrainingControl } from './control.js'

/** How a training runs, whatever it trains. */
export interface RunOptions {
  /** The run folder. */
  dir: string
  /** Steps of the whole run, instead of the configuration's. */
  steps?: number | undefined
  /** Stop after this step with a checkpoint, as if interrupted; the schedules still span all steps. */
  stopAt?: number | undefined
  /** Resume from the folder's newest complete checkpoint; start from scratch where there is none. */
  resume?: boolean | undefined
  /** Resume with other data than the run's; refused by default. The same samples elsewhere are no other data. */
  allowOtherData?: boolean | undefined
  /** Train even where the memory is expected not to suffice; refused by default. */
  force?: boolean | undefined
  /** `auto` (default), `cpu`, `cuda`, `cuda:1` or `mps`. */
  device?: string | undefined
  /** Stops between two steps, after a checkpoint. */
  signal?: AbortSignal | undefined
  /** Pauses, resumes, requests checkpoints and stops, from outside. */
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

const optionNames = {
  dir: true,
  steps: true,
  stopAt: true,
  resume: true,
  allowOtherData: true,
  force: true,
  device: true,
  signal: true,
  control: true
} as const

/**
 * @internal
 * @throws {TypeError | RangeError} wrong options
 */
export function checkRunOptions(options: RunOptions): void {
  const { dir, stopAt, resume, allowOtherData, force, signal, control } = options ?? {}
  pathTo('dir', dir)
  checkOptions(options, optionNames)
  if (stopAt !== undefined) positive('stopAt', stopAt)
  if (resume !== undefined) flag('resume', resume)
  if (allowOtherData !== undefined) flag('allowOtherData', allowOtherData)
  if (force !== undefined) flag('force', force)
  if (signal !== undefined) instance('signal', 'an AbortSignal', AbortSignal, signal)
  if (control !== undefined) instance('control', 'a TrainingControl', TrainingControl, control)
}
