import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Precision } from '../native/addon.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  naturalNumber,
  positiveInteger,
  precisionOption,
  prepare,
  writeJson
} from './context.js'

interface Options extends ComputeOptions {
  data: string
  out: string
  raw?: boolean
  teacher: string
  count: number
  ratio: number
  seed: number
  zoom?: number
  precision: Precision
}

function ratio(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('Expected a number from 0 to 1.')
  return value
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, or tars')
    .option('--out <file>', 'the grid', 'reconstructions.png')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--teacher <weights>', 'DINOv2 for the semantic masks, shown where it is found; or none', 'dinov2-small')
    .option('--count <count>', 'images, spread over the folder', positiveInteger, 12)
    .option('--ratio <part>', 'part of the patches that the shown masks hide', ratio, 0.5)
    .option('--seed <number>', 'of the random masks', naturalNumber, 0)
    .option('--zoom <count>', 'enlargement (default: to about 128 pixels)', positiveInteger)
    .addOption(precisionOption())
  addComputeOptions(command)
  addExamples(command, {
    'mactok reconstruct runs/tiny --data photos/ --out grid.png': 'original, masks, reconstruction',
    'mactok reconstruct runs/tiny --data photos/ --count 4 --ratio 0.7 --zoom 4':
      'four images, larger, with the densest masks of training'
  })
  command.action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const { data, out, raw = false, teacher: weights, json = false, count, ratio, seed, precision, zoom } = options
  const device = await prepare(options)
  const { imageSource } = await import('../data/image-source.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { Teacher } = await import('../teacher/teacher.js')
  const { locateWeights } = await import('../weights/index.js')
  const { reconstruct } = await import('../pipeline/reconstruct.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const { imageSize, patchSize } = tokenizer.config
  const found = weights !== 'none' && (await locateWeights(weights)) !== undefined
  using teacher = found ? await Teacher.load(weights, { device, grid: imageSize / patchSize }) : null
  if (!found && weights !== 'none' && !json) {
    process.stderr.write(
      `The weights ${weights} were not found: no semantic masks. \`mactok weights pull facebook/${weights}\` fetches them.\n`
    )
  }
  const size = zoom === undefined ? {} : { zoom }
  const result = await reconstruct(tokenizer, imageSource(data), out, {
    teacher,
    count,
    ratio,
    seed,
    precision,
    ...size
  })
  if (json) return writeJson(result)
  process.stdout.write(`${result.file}: ${result.images} images, ${result.psnr.toFixed(2)} dB\n`)
}
