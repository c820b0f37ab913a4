import type { Command } from 'commander'
import { fixedOfDecoder } from '../training/presets.js'
import { type TrainingConfigInput, trainingSchema } from '../training/schema.js'
import { usage } from './exit.js'
import {
  addComputeOptions,
  addExamples,
  addProfileOption,
  type ComputeOptions,
  type ProfileOptions,
  positiveInteger,
  prepare
} from './options.js'
import { addSettings, givenSettings } from './settings.js'
import { runTraining } from './train-tokenizer.js'
import { addUiOptions, type UiOptions } from './ui.js'

interface Options extends ComputeOptions, ProfileOptions, UiOptions {
  data?: string
  heldOut?: string
  out: string
  resume?: boolean
  stopAt?: number
}

export function define(command: Command): void {
  command
    .argument('<run>', 'the run folder of a trained tokenizer; its averaged weights are the start')
    .requiredOption('--out <folder>', 'the folder of the new run')
    .option('--data <path>', 'a folder of images, or tars (default: those of the run)')
    .option('--held-out <path>', 'other images, to evaluate on')
    .option('--resume', "go on from the new run's newest checkpoint")
    .option('--stop-at <step>', 'stop after this step with a checkpoint', positiveInteger)
  addProfileOption(command)
  addUiOptions(command)
  addComputeOptions(command)
  addSettings(command, trainingSchema, (name) =>
    fixedOfDecoder.some((field) => name === field || name.startsWith(`${field}.`))
  )
  addExamples(command, {
    'mactok train decoder runs/b128 --out runs/b128-decoder': 'ten epochs on the same images',
    'mactok train decoder runs/tiny --out runs/sharp --discriminator.weights auto --epochs 2': 'with a discriminator'
  })
  command.action(run)
}

async function run(trained: string, options: Options & Record<string, unknown>): Promise<void> {
  const given = givenSettings(options, trainingSchema) as TrainingConfigInput
  const { trainDecoder } = await import('../training/builder.js')
  const { readRun } = await import('../training/run.js')
  const training = await usage(() => trainDecoder(trained))
  const earlier = options.resume ? await readRun(options.out) : null
  const { from, heldOutFrom } = (earlier ?? (await readRun(trained)))?.data ?? {}
  const heldOut = options.heldOut ?? heldOutFrom ?? undefined
  const device = await prepare(options)
  usage(() =>
    training
      .set((earlier?.config ?? {}) as TrainingConfigInput)
      .set(given)
      .data(options.data ?? (from as string), heldOut === undefined ? {} : { heldOut })
  )
  await runTraining(training, options, device, `mactok train decoder ${trained} --out ${options.out} --resume`)
}
