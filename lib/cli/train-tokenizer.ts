import type { Command } from 'commander'
import { type TrainingEvents, trainingEventNames } from '../training/tokenizer/events.js'
import { type TrainingConfigInput, trainingSchema } from '../training/tokenizer/schema.js'
import type { TokenizerTraining } from '../training/tokenizer/training.js'
import { UsageError, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { prepare } from './options.js'
import { counter, ProgressLine } from './progress.js'
import { givenSettings } from './settings.js'
import { addTrainingOptions, type Display, describeRun, runTraining, type TrainingOptions } from './training.js'

interface Options extends TrainingOptions {
  data?: string
  heldOut?: string
  strict?: boolean
  preset?: string
}

export function define(command: Command): void {
  command
    .argument(
      '[preset]',
      'tiny-32, tiny-64, mactok-s-256-128, mactok-b-256-64, mactok-b-256-128, mactok-bl-512-64 or mactok-b-512-128'
    )
    .option('--preset <name>', 'the same as the argument')
    .option('--data <path>', 'a folder of images, tars or parquet files; a resumed run remembers it')
    .option('--held-out <path>', 'other images, to evaluate on')
    .option('--strict', 'stop at an unreadable image instead of skipping it')
  addTrainingOptions(command, trainingSchema, ['preset', 'data.strict'], {
    'mactok train tokenizer tiny-64 --data photos/ --out runs/tiny': 'a small tokenizer on a laptop',
    'mactok train tokenizer mactok-b-256-128 --data imagenet/train --out runs/b128 --micro-batch 32':
      "the paper's, 32 images at a time",
    'mactok train tokenizer tiny-64 --data photos/ --out runs/half --masking.max 0.5 --steps 2000':
      'with other settings',
    'mactok train tokenizer tiny-64 --data photos/ --out runs/seen --ui': 'with a live page',
    'mactok train tokenizer --out runs/b128 --resume': 'resume after an interruption'
  })
  command.action(run)
}

async function run(argument: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  const preset = argument ?? options.preset
  const given: TrainingConfigInput = givenSettings(options, trainingSchema)
  if (preset !== undefined) given.preset = preset
  if (options.strict) given.data = { ...given.data, strict: true }

  const { trainTokenizer } = await import('../training/tokenizer/training.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  // What is not given again stays as it was in the run that is resumed.
  const earlier = options.resume ? await usage(() => readTokenizerRun(options.out)) : null
  const training = describeRun(trainTokenizer, earlier, given)
  const from = options.data ?? earlier?.data.from
  const heldOut = options.heldOut ?? earlier?.data.heldOutFrom ?? undefined
  if (from === undefined) throw new UsageError('Expected --data <path>, the images to train on')
  const account = new ImageAccount()
  await setData(training, account, from, heldOut)
  const device = await prepare(options)
  const command = `mactok train tokenizer --out ${options.out} --resume`
  await runTraining(training, options, { ...tokenizerDisplay, device, command, account })
}

/** Gives a training its images, whose ignored files are counted. */
export async function setData(
  training: TokenizerTraining,
  account: ImageAccount,
  from: string,
  heldOut: string | undefined
): Promise<void> {
  await usage(async () => {
    const others = heldOut === undefined ? {} : { heldOut: await account.source(heldOut) }
    training.data(await account.source(from), others)
  })
}

/** How the training of a tokenizer, or of its decoder, is shown. */
export const tokenizerDisplay: Display<TokenizerTraining> = {
  unit: 'images',
  eventNames: trainingEventNames,
  describeData({ images, heldOut, config }: TrainingEvents['start']) {
    const { local, global } = config.align
    const held = heldOut ? `, ${heldOut} held out` : ''
    const aligned = local || global ? `, aligned with ${config.teacher.weights}` : ''
    return `${images} images${held}${aligned}`
  },
  report(training, { json, say, account }) {
    const features = new ProgressLine({ unit: 'images', quiet: json })
    let count: ((done: number) => void) | undefined
    training
      .on('features', ({ done, total }) => {
        count ??= counter(features, total)
        count(done)
      })
      .on('start', () => features.stop())
      .on('evaluation', ({ step, psnr, images }) =>
        say(`step ${step}: ${psnr.toFixed(2)} dB on ${images} held-out images`)
      )
      .on('broken', (broken) => {
        account?.onBroken(broken)
        say(`skipped ${broken.name}: ${broken.reason}`)
      })
  }
}
