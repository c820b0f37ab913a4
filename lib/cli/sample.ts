import type { Command } from 'commander'
import { samplingSchema } from '../generator/sampling.js'
import type { Precision } from '../native/addon.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  Interrupted,
  interruption,
  naturalNumber,
  positiveInteger,
  precisionOption,
  prepare,
  UsageError,
  usage,
  writeJson
} from './context.js'
import { counter, ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  tokenizer: string
  out?: string
  grid?: string
  npz?: string
  columns?: number
  count?: number
  classes?: string
  seed: number
  first: number
  batch: number
  weak?: string
  raw?: boolean
  force?: boolean
  graphs?: boolean
  precision: Precision
}

export function define(command: Command): void {
  command
    .argument('<generator>', 'a run folder, a checkpoint or a generator folder')
    .requiredOption('--tokenizer <folder>', 'the tokenizer that decodes')
    .option('--out <folder>', 'write one PNG a sample')
    .option('--grid <file>', 'write all samples as one PNG')
    .option('--columns <count>', 'of the grid', positiveInteger)
    .option('--npz <file>', "write ADM's .npz for its evaluator")
    .option('--count <count>', 'how many (default: one a class given, else one)', positiveInteger)
    .option('--classes <list>', 'labels or class names, comma-separated, used in turn (default: drawn)')
    .option('--seed <number>', 'decides noise and classes', naturalNumber, 0)
    .option('--first <number>', "the first sample's number, to go on from an earlier call", naturalNumber, 0)
    .option('--batch <count>', 'samples in one pass', positiveInteger, 64)
    .option('--weak <folder>', 'a weaker generator that guides instead of the prediction without class')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--force', 'decode with another tokenizer than the one it was trained for')
    .addOption(precisionOption())
    .option('--graphs', "record the network's evaluations as CUDA graphs, which helps small models on fast GPUs")
  addComputeOptions(command)
  addSettings(command, samplingSchema)
  addExamples(command, {
    'mactok sample runs/sit --tokenizer runs/tiny --grid samples.png --count 64 --guidance.scale 2':
      'a grid of samples of all classes',
    'mactok sample runs/sit --tokenizer runs/tiny --out samples/ --classes cat,dog --count 20': 'cats and dogs in turn',
    'mactok sample runs/xl --tokenizer runs/b128 --npz samples.npz --count 50000 --sampler euler-maruyama --steps 250':
      "for ADM's evaluator"
  })
  command.action(run)
}

/** `3,cat` as a label and a name. */
const parseClasses = (text: string): (number | string)[] =>
  text.split(',').map((word) => (/^\d+$/.test(word.trim()) ? Number(word) : word.trim()))

async function run(folder: string, options: Options & Record<string, unknown>): Promise<void> {
  const { out, grid, npz, columns, count, classes, seed, first, batch, json = false, precision } = options
  if (!out && !grid && !npz) throw new UsageError('Expected --out <folder>, --grid <file> or --npz <file>')
  const device = await prepare(options)
  const { Generator } = await import('../generator/generator.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { sampleImages } = await import('../pipeline/sample.js')
  using generator = await Generator.load(folder, { device, raw: options.raw ?? false, precision })
  using tokenizer = await Tokenizer.load(options.tokenizer, { device })
  using weak = options.weak === undefined ? null : await Generator.load(options.weak, { device })
  const line = new ProgressLine({ unit: 'samples', quiet: json })
  let update: ReturnType<typeof counter> | undefined
  const result = await usage(() =>
    sampleImages(generator, tokenizer, {
      ...(givenSettings(options, samplingSchema) as object),
      ...(out === undefined ? {} : { folder: out }),
      ...(grid === undefined ? {} : { grid }),
      ...(npz === undefined ? {} : { npz }),
      ...(columns === undefined ? {} : { columns }),
      ...(count === undefined ? {} : { count }),
      ...(classes === undefined ? {} : { classes: parseClasses(classes) }),
      ...(weak ? { weak } : {}),
      ...{ seed, firstIndex: first, batch, precision, signal: interruption() },
      ...{ force: options.force ?? false, graphs: options.graphs ?? false },
      onProgress: (done, total) => {
        update ??= counter(line, total)
        update(done)
      }
    })
  ).finally(() => line.stop())
  if (json) writeJson(result)
  if (result.interrupted) throw new Interrupted(`Stopped after ${result.images} samples`)
  if (!json) process.stdout.write(`${[out, grid, npz].filter(Boolean).join(', ')}: ${result.images} samples\n`)
}
