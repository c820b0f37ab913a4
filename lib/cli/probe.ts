import type { Command } from 'commander'
import { Option } from 'commander'
import type { ProbeKind } from '../evaluation/probe.js'
import type { Precision } from '../native/addon.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  positiveInteger,
  precisionOption,
  prepare,
  UsageError,
  usage,
  writeJson,
  writeTable
} from './context.js'
import { counter, ProgressLine } from './progress.js'

interface Options extends ComputeOptions {
  data: string
  val?: string
  teacher?: string
  grid: number
  features?: ProbeKind
  images?: number
  l2: number
  raw?: boolean
  sample?: boolean
  precision: Precision
}

const kinds: ProbeKind[] = ['mean', 'flatten', 'cls', 'patches']

export function define(command: Command): void {
  command
    .argument('[tokenizer]', 'a run folder, a checkpoint or a model folder; not with --teacher')
    .requiredOption('--data <path>', 'images with classes, to fit on')
    .option('--val <path>', 'others, to judge by (default: every fifth of the first)')
    .option('--teacher <weights>', "probe a DINOv2's features instead, by name or folder")
    .addOption(
      new Option('--features <kind>', 'mean or flatten of latents; cls or patches (mean) of a teacher').choices(kinds)
    )
    .option('--grid <count>', "patches a side of the teacher's images", positiveInteger, 16)
    .option('--images <count>', 'the most of each, spread over the folder', positiveInteger)
    .option('--l2 <weight>', 'of the penalty ½‖W‖² beside the mean cross-entropy', Number, 1e-3)
    .option('--sample', 'draws from the posteriors instead of their means')
    .option('--raw', 'the weights in training instead of their moving average')
    .addOption(precisionOption())
  addComputeOptions(command)
  addExamples(command, {
    'mactok probe runs/tiny --data cifar10/train-00000.tar --val cifar10/test-00000.tar':
      'latents averaged over the tokens',
    'mactok probe runs/tiny --data photos/ --features flatten': 'all latents, judged by every fifth image',
    'mactok probe --teacher dinov2-small --data cifar10/train-00000.tar --images 2000': 'what the teacher knows'
  })
  command.action(run)
}

async function run(model: string | undefined, options: Options): Promise<void> {
  const { data, val, teacher, features, images, l2, precision, raw, json = false } = options
  if ((model === undefined) === (teacher === undefined)) {
    throw new UsageError('Expected either a tokenizer, or --teacher <weights>')
  }
  const device = await prepare(options)
  const { imageSource } = await import('../data/image-source.js')
  const { probe } = await import('../evaluation/probe.js')
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const settings = {
    ...{ l2, precision, sample: options.sample ?? false },
    ...(features && { features }),
    ...(images && { images }),
    ...(val && { validation: imageSource(val) }),
    onBroken: ({ name, reason }: { name: string; reason: string }) => !json && line.note(`left out ${name}: ${reason}`)
  }
  let count: ReturnType<typeof counter> | undefined
  const onProgress = (done: number, total: number) => {
    if (!count || done <= 64) count = counter(line, total)
    count(done)
  }
  using network =
    teacher === undefined
      ? await (await import('../tokenizer/tokenizer.js')).Tokenizer.load(model as string, { device, raw: raw ?? false })
      : await (await import('../teacher/teacher.js')).Teacher.load(teacher, { device, grid: options.grid })
  const result = await usage(() => probe(network, imageSource(data), { ...settings, onProgress })).finally(() =>
    line.stop()
  )
  if (json) return writeJson(result)
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`
  writeTable([
    ['features', `${result.features}, ${result.dimensions} numbers`],
    ['classes', result.classes],
    ['training', `${percent(result.trainingAccuracy)} of ${result.training} images`],
    ['validation', `${percent(result.validationAccuracy)} of ${result.validation} images`]
  ])
}
