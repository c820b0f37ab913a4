import { join } from 'node:path'
import type { Command } from 'commander'
import type { ReconstructionMetric } from '../evaluation/metric-names.js'
import type { ReconstructionReport } from '../evaluation/reconstruction.js'
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
  words,
  writeJson,
  writeTable
} from './context.js'
import { counter, ProgressLine } from './progress.js'

interface Options extends ComputeOptions {
  data: string
  raw?: boolean
  metrics?: string[]
  lpips?: string
  inception?: string
  count?: number
  batch: number
  precision: Precision
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, or tars')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--metrics <list>', 'of ssim, lpips, rfid (default: those whose weights are found); PSNR always', words)
    .option('--lpips <weights>', 'network of LPIPS (default: lpips-alex where it is found, else lpips-vgg)')
    .option('--inception <weights>', "FID's Inception (default: inception-fid)")
    .option('--count <count>', 'only so many images, spread over the listing', positiveInteger)
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
  addComputeOptions(command)
  addExamples(command, {
    'mactok evaluate reconstruction runs/b128 --data imagenet/val': 'PSNR, SSIM, LPIPS, rFID, active units, KL',
    'mactok evaluate reconstruction runs/tiny --data photos/ --metrics ssim --json': 'no network but the tokenizer'
  })
  command.action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const { data, raw = false, json = false, metrics, lpips, inception, count, batch, precision } = options
  const device = await prepare(options)
  const { imageSource } = await import('../data/image-source.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { evaluateReconstruction } = await import('../evaluation/reconstruction.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  const { writeJson: saveJson } = await import('../files/atomic.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  let update: ReturnType<typeof counter> | undefined
  const result = await interruptible((signal) =>
    usage(() =>
      evaluateReconstruction(tokenizer, imageSource(data), {
        ...(metrics && { metrics: metrics as ReconstructionMetric[] }),
        ...(lpips && { lpips }),
        ...(inception && { inception }),
        ...(count && { count }),
        ...{ batch, precision, signal },
        onBroken: ({ name, reason }) => json || line.note(`left out ${name}: ${reason}`),
        onProgress: (done, total) => {
          update ??= counter(line, total)
          update(done)
        }
      })
    )
  ).finally(() => line.stop())
  // Where the run's report finds it.
  if (await readTokenizerRun(model)) await saveJson(join(model, 'evaluation-reconstruction.json'), result)
  if (json) return writeJson(result)
  for (const notice of result.notices) process.stderr.write(`${notice}\n`)
  writeTable(rows(result))
}

function rows(result: ReconstructionReport): [string, unknown][] {
  const { images, psnr, ssim, lpips, lpipsWeights, rfid, activeUnits, kl } = result
  const all: [string, number | undefined, (value: number) => string][] = [
    ['PSNR', psnr, (value) => `${value.toFixed(3)} dB`],
    ['SSIM', ssim, (value) => value.toFixed(4)],
    ['LPIPS', lpips, (value) => `${value.toFixed(4)} (${lpipsWeights})`],
    ['rFID', rfid, (value) => value.toFixed(3)],
    ['active units', activeUnits, (value) => `${(100 * value).toFixed(1)} %`],
    ['KL', kl, (value) => `${value.toFixed(2)} nats`]
  ]
  const known = all.flatMap(([name, value, show]): [string, unknown][] =>
    value === undefined ? [] : [[name, show(value)]]
  )
  return [['images', images], ...known]
}
