import { join } from 'node:path'
import type { Command } from 'commander'
import type { ReconstructionReport } from '../evaluation/reconstruction.js'
import { reconstructionSchema } from '../evaluation/schema.js'
import { interruptible, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, prepare } from './options.js'
import { fixed, writeJson, writeTable } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data: string
  raw?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, tars or parquet files')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, reconstructionSchema)
  addExamples(command, {
    'mactok evaluate reconstruction runs/b128 --data imagenet/val':
      'PSNR, SSIM, LPIPS, rFID, active units, KL, mutual information',
    'mactok evaluate reconstruction runs/tiny --data photos/ --metrics ssim --json': 'without LPIPS and Inception',
    'mactok evaluate reconstruction runs/tiny --data photos/ --metrics rfdDinov2,rkid --dinov2 dinov2-small':
      'distances that need fewer images than rFID'
  })
  command.action(run)
}

async function run(model: string, options: Options & Record<string, unknown>): Promise<void> {
  const { data, raw = false, json = false } = options
  const settings = givenSettings(options, reconstructionSchema)
  const device = await prepare(options)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { evaluateReconstruction } = await import('../evaluation/reconstruction.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  const { writeJson: saveJson } = await import('../files/atomic.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const source = await account.source(data)
  const result = await interruptible((signal) =>
    usage(() =>
      evaluateReconstruction(tokenizer, source, {
        ...settings,
        signal,
        onBroken: account.onBroken,
        onProgress: line.counting()
      })
    )
  ).finally(() => line.stop())
  if (json) {
    writeJson({ ...result, unread: account.unread })
  } else {
    for (const notice of result.notices) process.stderr.write(`${notice}\n`)
    writeTable(rows(result))
    account.report()
  }
  // The run's report shows it. Saved last: a run that cannot be written to is an error, but loses no numbers.
  if (await readTokenizerRun(model)) await saveJson(join(model, 'evaluation-reconstruction.json'), result)
}

function rows(result: ReconstructionReport): [string, unknown][] {
  const { images, psnr, samplePsnr, ssim, lpips, lpipsWeights, dinov2Weights, rfid, rkid, rfdDinov2, rkdDinov2 } =
    result
  const { activeUnits, activeTokens, informativeTokens, kl, mutualInformation } = result
  const all: [string, number | undefined, (value: number) => string][] = [
    ['PSNR', psnr, (value) => `${fixed(value, 3)} dB`],
    ['PSNR of samples', samplePsnr, (value) => `${fixed(value, 3)} dB`],
    ['SSIM', ssim, (value) => fixed(value, 4)],
    ['LPIPS', lpips, (value) => `${fixed(value, 4)} (${lpipsWeights})`],
    ['rFID', rfid, (value) => fixed(value, 3)],
    ['rKID', rkid, (value) => fixed(value, 5)],
    ['rFD-DINOv2', rfdDinov2, (value) => `${fixed(value, 2)} (${dinov2Weights})`],
    ['rKD-DINOv2', rkdDinov2, (value) => `${fixed(value, 5)} (${dinov2Weights})`],
    ['active units', activeUnits, (value) => `${fixed(100 * value, 1)} %`],
    ['active tokens', activeTokens, (value) => `${fixed(100 * value, 1)} %`],
    ['informative tokens', informativeTokens, (value) => `${fixed(100 * value, 1)} %`],
    ['KL', kl, (value) => `${fixed(value, 2)} nats`],
    ['mutual information', mutualInformation, (value) => `${fixed(value, 2)} nats`]
  ]
  const computed = all.flatMap(([name, value, show]): [string, unknown][] =>
    value === undefined ? [] : [[name, show(value)]]
  )
  return [['images', images], ...computed]
}
