import type { Command } from 'commander'
import { fixedOfDecoder } from '../training/tokenizer/presets.js'
import { type TrainingConfigInput, trainingSchema } from '../training/tokenizer/schema.js'
import { usage } from './exit.js'
import { ImageAccount } from './images.js'
import { prepare } from './options.js'
import { givenSettings } from './settings.js'
import { setData, tokenizerDisplay } from './train-tokenizer.js'
import { addTrainingOptions, runTraining, type TrainingOptions } from './training.js'

interface Options extends TrainingOptions {
  data?: string
  heldOut?: string
}

const isFixed = (name: string) => fixedOfDecoder.some((field) => name === field || name.startsWith(`${field}.`))

export function define(command: Command): void {
  command
    .argument('<run>', 'the run folder of a trained tokenizer; its averaged weights are the start')
    .option('--data <path>', 'a folder of images, tars or parquet files (default: those of the run)')
    .option('--held-out <path>', 'other images, to evaluate on')
  addTrainingOptions(command, trainingSchema, isFixed, {
    'mactok train decoder runs/b128 --out runs/b128-decoder': 'ten epochs on the same images',
    'mactok train decoder runs/tiny --out runs/sharp --discriminator.weights auto --epochs 2': 'with a discriminator'
  })
  command.action(run)
}

async function run(trained: string, options: Options & Record<string, unknown>): Promise<void> {
  const given: TrainingConfigInput = givenSettings(options, trainingSchema)
  const { trainDecoder, trainTokenizer } = await import('../training/tokenizer/training.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  const earlier = options.resume ? await usage(() => readTokenizerRun(options.out)) : null
  const training = await usage(async () => {
    const start = earlier ? trainTokenizer(earlier.config) : await trainDecoder(trained)
    return start.set(given)
  })
  const { data } = earlier ?? (await readTokenizerRun(trained)) ?? {}
  const heldOut = options.heldOut ?? data?.heldOutFrom ?? undefined
  const account = new ImageAccount()
  await setData(training, account, options.data ?? (data?.from as string), heldOut)
  const device = await prepare(options)
  const command = `mactok train decoder ${trained} --out ${options.out} --resume`
  await runTraining(training, options, { ...tokenizerDisplay, device, command, account })
}
