import type { Command } from 'commander'
import type { TokenizerTraining } from '../training/builder.js'
import { TrainingControl } from '../training/control.js'
import { resolveConfig } from '../training/presets.js'
import { type TrainingConfigInput, trainingSchema } from '../training/schema.js'
import { type StepEvent, trainingEventNames } from '../training/training-events.js'
import { Interrupted, interruption, UsageError, usage } from './exit.js'
import {
  addComputeOptions,
  addExamples,
  addProfileOption,
  type ComputeOptions,
  type ProfileOptions,
  positiveInteger,
  prepare,
  requestProfile
} from './options.js'
import { writeJson } from './output.js'
import { counter, ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'
import { addUiOptions, type UiOptions, withPage } from './ui.js'

interface Options extends ComputeOptions, ProfileOptions, UiOptions {
  data?: string
  heldOut?: string
  out: string
  resume?: boolean
  stopAt?: number
  strict?: boolean
  config?: string
}

export function define(command: Command): void {
  command
    .argument('[preset]', 'tiny-32, tiny-64, mactok-b-256-64, mactok-b-256-128, mactok-bl-512-64 or mactok-b-512-128')
    .requiredOption('--out <folder>', 'the run folder')
    .option('--data <path>', 'a folder of images, or tars; a resumed run remembers it')
    .option('--held-out <path>', 'other images, to evaluate on')
    .option('--resume', "go on from the run folder's newest checkpoint")
    .option(
      '--stop-at <step>',
      'stop after this step with a checkpoint; the schedules still span all steps',
      positiveInteger
    )
    .option('--strict', 'stop at a broken image instead of leaving it out')
  addProfileOption(command)
  addUiOptions(command)
  addComputeOptions(command)
  addSettings(command, trainingSchema, ['preset', 'data.strict'])
  addExamples(command, {
    'mactok train tokenizer tiny-64 --data photos/ --out runs/tiny': 'a small tokenizer on a laptop',
    'mactok train tokenizer mactok-b-256-128 --data imagenet/train --out runs/b128 --micro-batch 32':
      "the paper's, 32 images at a time",
    'mactok train tokenizer tiny-64 --data photos/ --out runs/half --masking.max 0.5 --steps 2000':
      'with other settings',
    'mactok train tokenizer tiny-64 --data photos/ --out runs/seen --ui': 'with a live page',
    'mactok train tokenizer --out runs/b128 --resume': 'go on after an interruption'
  })
  command.action(run)
}

async function run(preset: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  const given = givenSettings(options, trainingSchema) as TrainingConfigInput
  const named = preset === undefined ? {} : { preset }
  const strict = options.strict ? { data: { ...given.data, strict: true } } : {}
  const settings: TrainingConfigInput = { ...given, ...named, ...strict }
  usage(() => resolveConfig(settings))

  const { trainTokenizer } = await import('../training/builder.js')
  const { readRun } = await import('../training/run.js')
  // What a resumed run is not told again stays as it was.
  const earlier = options.resume ? await readRun(options.out) : null
  const from = options.data ?? earlier?.data.from
  const heldOut = options.heldOut ?? earlier?.data.heldOutFrom ?? undefined
  if (from === undefined) throw new UsageError('Expected --data <path>, the images to train on')
  const device = await prepare(options)
  const training = usage(() =>
    trainTokenizer(earlier?.config ?? {})
      .set(settings)
      .data(from, heldOut === undefined ? {} : { heldOut })
  )

  await runTraining(training, options, device, `mactok train tokenizer --out ${options.out} --resume`)
}

/** Runs, showing what happens; `again` is the command that goes on after an interruption. */
export async function runTraining(
  training: TokenizerTraining,
  options: Pick<Options, 'out' | 'stopAt' | 'resume' | 'json' | 'profile'> & UiOptions,
  device: string,
  again: string
): Promise<void> {
  const { out: dir, stopAt, resume, json = false } = options
  const control = new TrainingControl()
  requestProfile(training, options)
  const stopReport = report(training, json)
  const result = await withPage(dir, options, { control, device, json }, () =>
    usage(() => training.run({ dir, device, stopAt, resume, control, signal: interruption() }))
  ).finally(stopReport)
  if (json) writeJson({ event: 'end', ...result })
  const { step, steps } = result
  if (result.interrupted) throw new Interrupted(`Stopped at step ${step} of ${steps}; go on by: ${again}`)
  if (!json) process.stdout.write(`${dir}: step ${step} of ${steps}\n`)
}

/** Shows a run's events; returns what ends the display. */
function report(training: TokenizerTraining, json: boolean): () => void {
  const line = new ProgressLine({ unit: 'images', quiet: json, seconds: 0 })
  const say = (text: string) => !json && line.note(text)
  const features = new ProgressLine({ unit: 'images', quiet: json })
  let count: ((done: number) => void) | undefined
  for (const event of trainingEventNames) {
    if (json) training.on(event, (details) => writeJson({ event, ...details }))
  }
  training
    .on('start', ({ dir, step, steps, images, heldOut, device, config }) => {
      features.stop()
      const held = heldOut ? `, ${heldOut} held out` : ''
      const { local, global } = config.align
      const aligned = local || global ? `, aligned with ${config.teacher.weights}` : ''
      say(`${dir}: steps ${step} to ${steps} on ${device} (${config.precision}), ${images} images${held}${aligned}`)
    })
    .on('step', (event) => {
      line.update({
        ...{ done: event.step, total: event.steps, text: describeStep(event) },
        ...{ rate: event.imagesPerSecond, secondsLeft: event.secondsLeft }
      })
    })
    .on('evaluation', ({ step, psnr, images }) =>
      say(`step ${step}: ${psnr.toFixed(2)} dB on ${images} held-out images`)
    )
    .on('checkpoint', ({ step, folder }) => say(`step ${step}: ${folder}`))
    .on('grid', ({ file }) => say(file))
    .on('features', ({ done, total }) => {
      count ??= counter(features, total)
      count(done)
    })
    .on('broken', ({ name, reason }) => say(`left out ${name}: ${reason}`))
    .on('profile', ({ trace, table, text }) => say(`${text}${table}, ${trace}`))
    .on('notice', ({ message }) => say(message))
  return () => line.stop()
}

/** `loss 0.0312 (reconstruction 0.0311, kl 41) 15.1 dB` */
export function describeStep({ loss, psnr }: StepEvent): string {
  const { total, ...terms } = loss
  const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`)
  return `loss ${total?.toPrecision(3)} (${parts.join(', ')}) ${psnr.toFixed(1)} dB`
}
