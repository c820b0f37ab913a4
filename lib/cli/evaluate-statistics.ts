import type { Command } from 'commander'
import type { InceptionInput } from '../evaluation/inception.js'
import type { Precision } from '../native/addon.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  interruptible,
  positiveInteger,
  precisionOption,
  prepare,
  usage,
  writeJson
} from './context.js'
import { inceptionInputOption } from './evaluate-generation.js'
import { counter, ProgressLine } from './progress.js'

interface Options extends ComputeOptions {
  out: string
  size?: number
  inception?: string
  resize: InceptionInput
  batch: number
  precision: Precision
}

export function define(command: Command): void {
  command
    .argument('<images>', "a folder, tars, or an .npz of ADM's")
    .requiredOption('--out <file>', 'the .npz to write; the same command goes on after an interruption')
    .option('--size <pixels>', "side of the centre crops (default: the first image's short side)", positiveInteger)
    .option('--inception <weights>', "FID's Inception (default: inception-fid)")
    .addOption(inceptionInputOption().default('pytorch'))
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
  addComputeOptions(command)
  addExamples(command, {
    'mactok evaluate statistics imagenet/train --size 256 --out imagenet-256.npz':
      'mu and sigma as pytorch-fid reads them, mu_s and sigma_s for sFID'
  })
  command.action(run)
}

async function run(path: string, options: Options): Promise<void> {
  const { out, size, inception: weights, resize: input, batch, precision, json = false } = options
  const device = await prepare(options)
  const { Inception } = await import('../evaluation/inception.js')
  const { referenceStatistics } = await import('../evaluation/generation.js')
  using inception = await Inception.load({ ...(weights && { weights }), device, input, precision })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  let update: ReturnType<typeof counter> | undefined
  const images = await interruptible((signal) =>
    usage(() =>
      referenceStatistics(inception, path, out, {
        ...{ size, batch, signal },
        onProgress: (done, total) => {
          update ??= counter(line, total)
          update(done)
        }
      })
    )
  ).finally(() => line.stop())
  if (json) return writeJson({ file: out, images })
  process.stdout.write(`${out}: statistics of ${images} images\n`)
}
