/** What the commands that train share: their options, the display of a run, and the run. */

import type { Command } from 'commander'
import type { z } from 'zod'
import { ranksFromEnvironment } from '../distributed/ranks.js'
import type { DistributedInput } from '../distributed/schema.js'
import { gigabytes, placeOf } from '../native/memory.js'
import type { ProfileInput } from '../profile/schema.js'
import { TrainingControl } from '../training/control.js'
import type { SharedEvents, SharedStepEvent } from '../training/events.js'
import type { FinishedRun, RunOptions } from '../training/options.js'
import { Interrupted, interruption, usage } from './exit.js'
import type { ImageAccount } from './images.js'
import {
  addComputeOptions,
  addDistributedOptions,
  addExamples,
  addProfileOption,
  type ComputeOptions,
  type DistributedOptions,
  type ProfileOptions,
  positiveInteger,
  requestProfile
} from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings } from './settings.js'
import { addUiOptions, type UiOptions, withPage } from './ui.js'

export interface TrainingOptions extends ComputeOptions, DistributedOptions, ProfileOptions, UiOptions {
  out: string
  resume?: boolean
  allowOtherData?: boolean
  force?: boolean
  stopAt?: number
  config?: string
}

/** Adds the options of every command that trains, and a flag for every setting that is not hidden. */
export function addTrainingOptions(
  command: Command,
  schema: z.core.$ZodType,
  hidden: Parameters<typeof addSettings>[2],
  examples: Record<string, string>
): void {
  command
    .requiredOption('--out <folder>', 'the run folder')
    .option('--resume', "resume from the run folder's newest checkpoint")
    .option('--allow-other-data', 'resume with other data than those that the run began with')
    .option('--force', 'train even where the memory is expected not to suffice')
    .option(
      '--stop-at <step>',
      'stop after this step with a checkpoint; the schedules still span all steps',
      positiveInteger
    )
  addProfileOption(command)
  addUiOptions(command)
  addDistributedOptions(command)
  addComputeOptions(command)
  addSettings(command, schema, hidden)
  addExamples(command, examples)
}

/** A run described by the given settings, which are laid over those of the run that it resumes. */
export const describeRun = <Input extends object, T extends { set(settings: Input): T }>(
  train: (settings: Input) => T,
  earlier: { config: Input } | null,
  given: Input
): T => usage(() => (earlier ? train(earlier.config).set(given) : train(given)))

/** A training of any kind. */
interface AnyTraining {
  on<Name extends keyof SharedEvents>(name: Name, listener: (event: SharedEvents[Name]) => void): AnyTraining
  profile(profile: ProfileInput): unknown
  distributed(distributed: DistributedInput | false): unknown
  run(options: RunOptions): Promise<FinishedRun>
}

/** How a kind of training is shown. */
export interface Display<T> {
  unit: 'images' | 'latents'
  eventNames: readonly string[]
  /** What a run trains on, in a few words. */
  describeData(start: SharedEvents['start']): string
  /** Shows events that other kinds do not have. */
  report?(training: T, screen: Screen): void
}

export interface Screen {
  json: boolean
  /** Writes a line above the progress bar, unless JSON is written. */
  say(text: string): void
  /** Counts the images that are skipped; undefined where no images are read. */
  account: ImageAccount | undefined
}

/**
 * Runs a training and shows its events.
 * @param command - the command that resumes it
 * @param page - what the live page of the run needs besides
 * @param account - of the images that it is trained on
 * @throws {Interrupted} when it stopped before its last step
 */
export async function runTraining<T extends AnyTraining>(
  training: T,
  options: TrainingOptions,
  {
    device,
    command,
    page = {},
    account,
    ...display
  }: Display<T> & {
    device: string
    command: string
    page?: { tokenizer?: string | undefined }
    account?: ImageAccount | undefined
  }
): Promise<void> {
  const { out: dir, stopAt, resume, allowOtherData, force, rankTimeout: timeout, sharded } = options
  // Of ranks that train together, the first one shows the run.
  const isFirst = !options.distributed || usage(() => ranksFromEnvironment()).rank === 0
  const json = isFirst && (options.json ?? false)
  const control = new TrainingControl()
  requestProfile(training, options)
  training.distributed(options.distributed ? { timeout, sharded } : false)
  const stopReport = report(training, display, { json, account })
  const result = await withPage(
    dir,
    { ...options, ui: isFirst && options.ui },
    { control, device, json, ...page },
    () =>
      usage(() => training.run({ dir, device, stopAt, resume, allowOtherData, force, control, signal: interruption() }))
  ).finally(stopReport)
  const { step, steps, interrupted } = result
  if (!isFirst) {
    if (interrupted) throw new Interrupted('')
    return
  }
  if (json) writeJson({ event: 'end', ...result, ...(account && { unread: account.unread }) })
  else account?.report()
  if (interrupted) throw new Interrupted(`Stopped at step ${step} of ${steps}; resume with: ${command}`)
  if (!json) process.stdout.write(`${dir}: step ${step} of ${steps}\n`)
}

/** Shows a run's events; returns what ends the display. */
function report<T extends AnyTraining>(
  training: T,
  display: Display<T>,
  { json, account }: Pick<Screen, 'json' | 'account'>
): () => void {
  const { unit, eventNames, describeData } = display
  const line = new ProgressLine({ unit, quiet: json })
  const say = (text: string) => {
    if (!json) line.note(text)
  }
  for (const event of eventNames as (keyof SharedEvents)[]) {
    if (json) training.on(event, (details) => writeJson({ event, ...details }))
  }
  display.report?.(training, { json, say, account })
  training
    .on('start', (start) => {
      const { dir, step, steps, device, config, memory } = start
      say(`${dir}: steps ${step} to ${steps} on ${device} (${config.precision}), ${describeData(start)}`)
      if (memory)
        say(`needs about ${gigabytes(memory.needed)} of the ${gigabytes(memory.available)} of ${placeOf(device)}`)
    })
    .on('step', (event) => {
      const rate = event[`${unit}PerSecond`] as number
      const { step, steps, secondsLeft } = event
      line.update({ done: step, total: steps, text: describeStep(event), rate, secondsLeft })
    })
    .on('grid', ({ step, file }) => say(`step ${step}: ${file}`))
    .on('checkpoint', ({ step, folder }) => say(`step ${step}: ${folder}`))
    .on('profile', ({ trace, table, text }) => say(`${text}${table}, ${trace}`))
    .on('notice', ({ message }) => say(message))
  return () => line.stop()
}

/** `loss 0.0312 (reconstruction 0.0311, kl 41) 15.1 dB` */
export function describeStep({ loss, psnr }: SharedStepEvent): string {
  const { total, ...terms } = loss
  const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`)
  const quality = typeof psnr === 'number' ? ` ${psnr.toFixed(1)} dB` : ''
  return `loss ${total?.toPrecision(3)} (${parts.join(', ')})${quality}`
}
