import type { Command } from 'commander'
import { refuseExisting } from '../files/overwrite.js'
import { reconstructSchema } from '../pipeline/reconstruct-schema.js'
import { usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, prepare } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data: string
  out?: string
  force?: boolean
  raw?: boolean
  teacher: string
}

const defaultFile = 'reconstructions.png'

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, tars or parquet files')
    .option('--out <file>', `the PNG to write (default: ${defaultFile}, if there is none yet)`)
    .option('--force', `overwrite ${defaultFile}`)
    .option('--teacher <weights>', 'DINOv2 for semantic masks, shown where it is found; or none', 'dinov2-small')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, reconstructSchema)
  addExamples(command, {
    'mactok reconstruct runs/tiny --data photos/ --out grid.png': 'original, masks, reconstruction',
    'mactok reconstruct runs/tiny --data photos/ --count 4 --ratio 0.7 --zoom 4':
      'four images, larger, with the densest masks of training'
  })
  command.action(run)
}

async function run(model: string, options: Options & Record<string, unknown>): Promise<void> {
  const { data, out = defaultFile, force = false, raw = false, teacher: weights, json = false } = options
  const settings = givenSettings(options, reconstructSchema)
  if (options.out === undefined && !force) await refuseExisting([out], 'name another by --out, or give --force')
  const device = await prepare(options)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { Teacher } = await import('../teacher/teacher.js')
  const { locateWeights } = await import('../weights/index.js')
  const { reconstruct } = await import('../pipeline/reconstruct.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const { imageSize, patchSize } = tokenizer.config
  const isFound = weights !== 'none' && (await locateWeights(weights)) !== undefined
  using teacher = isFound ? await Teacher.load(weights, { device, grid: imageSize / patchSize }) : null
  if (!isFound && weights !== 'none' && !json) {
    process.stderr.write(
      `The weights ${weights} were not found: no semantic masks. \`mactok weights pull facebook/${weights}\` downloads them.\n`
    )
  }
  const account = new ImageAccount(new ProgressLine({ unit: 'images', quiet: json }))
  const source = await account.source(data)
  const { onBroken } = account
  const result = await usage(() => reconstruct(tokenizer, source, out, { ...settings, teacher, onBroken }))
  if (json) return writeJson({ ...result, unread: account.unread })
  process.stdout.write(`${result.file}: ${result.images} images, ${result.psnr.toFixed(2)} dB\n`)
  account.report()
}
