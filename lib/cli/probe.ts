import type { Command } from 'commander'
import { probeSchema } from '../evaluation/schema.js'
import { UsageError, usage } from './exit.js'
import { ImageAccount } from './images.js'
import {
  addComputeOptions,
  addExamples,
  addRawOption,
  type ComputeOptions,
  positiveInteger,
  prepare
} from './options.js'
import { writeJson, writeTable } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data: string
  val?: string
  teacher?: string
  grid: number
  raw?: boolean
}

export function define(command: Command): void {
  command
    .argument('[tokenizer]', 'a run folder, a checkpoint or a model folder; not with --teacher')
    .requiredOption('--data <path>', 'images with classes, to fit on')
    .option('--val <path>', 'other images, to validate on (default: a fifth of the first, see --fold)')
    .option('--teacher <weights>', "probe a DINOv2's features instead, by name or folder")
    .option('--grid <count>', "patches per side of the teacher's images", positiveInteger, 16)
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, probeSchema)
  addExamples(command, {
    'mactok probe runs/tiny --data cifar10/train-00000.tar --val cifar10/test-00000.tar':
      'latents averaged over the tokens',
    'mactok probe runs/tiny --data photos/ --features flatten': 'all latents, validated on every fifth image',
    'mactok probe --teacher dinov2-small --data cifar10/train-00000.tar --images 2000': "the teacher's features"
  })
  command.action(run)
}

async function run(model: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  const { data, val, teacher, raw = false, json = false } = options
  if ((model === undefined) === (teacher === undefined)) {
    throw new UsageError('Expected either a tokenizer, or --teacher <weights>')
  }
  const settings = givenSettings(options, probeSchema)
  const device = await prepare(options)
  const { Teacher } = await import('../teacher/teacher.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { probe } = await import('../evaluation/probe.js')
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const source = await account.source(data)
  const validation = val === undefined ? undefined : await account.source(val)
  using network =
    teacher === undefined
      ? await Tokenizer.load(model as string, { device, raw })
      : await Teacher.load(teacher, { device, grid: options.grid })
  const result = await usage(() =>
    probe(network, source, {
      ...settings,
      validation,
      onBroken: account.onBroken,
      onProgress: line.counting()
    })
  ).finally(() => line.stop())
  if (json) return writeJson({ ...result, unread: account.unread })
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`
  writeTable([
    ['features', `${result.features}, ${result.dimensions} numbers`],
    ['classes', result.classes],
    ['training', `${percent(result.trainingAccuracy)} of ${result.training} images`],
    ['validation', `${percent(result.validationAccuracy)} of ${result.validation} images`]
  ])
  account.report()
}
