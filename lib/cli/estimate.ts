import type { Command } from 'commander'
import { parseConfig } from '../config.js'
import { estimateSchema } from '../estimate/schema.js'
import type { StepTime, TrainingEstimate } from '../estimate/training.js'
import { gigabytes } from '../native/memory.js'
import { readConfig } from './config-file.js'
import { usage } from './exit.js'
import { addExamples } from './options.js'
import { writeJson, writeTable } from './output.js'
import { addSettings, givenSettings } from './settings.js'

interface Options {
  training?: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<preset>', 'of a tokenizer or a generator, as `mactok train` takes it')
    .option('--training <file>', "training settings in YAML, laid over the preset's")
    .option('--json', 'write JSON to standard output')
  addSettings(command, estimateSchema)
  addExamples(command, {
    'mactok estimate mactok-b-256-128 --gpu h100 --gpus 8': 'time, memory and traffic of the paper’s tokenizer',
    'mactok estimate sit-xl --gpu a100 --gpus 8 --nodes 4 --tokens 128': 'a generator on its latents, on four machines',
    'mactok estimate mactok-bl-512-64 --gpu rtx-4090 --micro-batch 8 --checkpointing': 'whether it fits'
  })
  command.action(run)
}

async function run(preset: string, options: Options & Record<string, unknown>): Promise<void> {
  const given = givenSettings(options, estimateSchema)
  const { estimateTraining } = await import('../estimate/training.js')
  const training = options.training === undefined ? {} : readConfig(options.training)
  const settings = usage(() => parseConfig(estimateSchema, given))
  const result = usage(() => estimateTraining(preset, given, training))
  if (options.json) return writeJson(result)
  writeTable(rowsOf(result, settings))
}

const row = (name: string, value: string): [string, string] => [name, value]

const cores = (count: number): string => `${Math.ceil(count)} CPU cores`

function duration(seconds: number): string {
  if (seconds < 1) return `${(seconds * 1000).toPrecision(3)} ms`
  if (seconds < 600) return `${seconds.toPrecision(3)} s`
  return seconds < 72 * 3600 ? `${(seconds / 3600).toPrecision(3)} h` : `${(seconds / 86400).toPrecision(3)} days`
}

const describeStep = ({ products, others, optimizer, exchange, launches, total }: StepTime): string =>
  `${duration(total)}: products ${duration(products)}, other operations ${duration(others)}, optimiser ${duration(optimizer)}, ` +
  `exchange ${duration(exchange)}; launches ${duration(launches)}`

function rowsOf(
  result: TrainingEstimate,
  { gpu, gpus, nodes, images }: ReturnType<typeof estimateSchema.parse>
): [string, string][] {
  const { memory, step, earlyStep, parameters, data, encoding, kind } = result
  const unit = kind === 'tokenizer' ? 'images' : 'latents'
  const { total, ...parts } = memory
  const listed = Object.entries(parts).map(([name, bytes]) => `${name} ${gigabytes(bytes)}`)
  const alternative =
    result.largestMicroBatch > 0
      ? `with --micro-batch ${result.largestMicroBatch} it does`
      : `not with one sample on each GPU either`
  return [
    ['machine', `${nodes} × ${gpus} × ${gpu}, ${result.precision}`],
    [
      'parameters',
      `${(parameters.trained / 1e6).toFixed(1)} M trained, ${(parameters.frozen / 1e6).toFixed(1)} M frozen`
    ],
    [
      'batch',
      `${result.batch} ${unit} in micro-batches of ${result.microBatch}, ${result.microBatch / (gpus * nodes)} on each GPU`
    ],
    ['memory', `${gigabytes(total)} on each GPU: ${listed.join(', ')}`],
    ['fits', result.fits ? 'yes' : `no; ${alternative}`],
    ...(earlyStep ? [row('step at first', describeStep(earlyStep))] : []),
    ['step', describeStep(step)],
    [unit, `${Math.round(result.samplesPerSecond)} per second`],
    [
      'run',
      `${duration(result.run)}: ${result.steps} steps, ${result.epochs.toPrecision(3)} epochs of ${images} images`
    ],
    ['exchange', `${gigabytes(result.exchanged)} sent by each GPU and step`],
    ['checkpoint', gigabytes(result.checkpoint)],
    ...(data ? [row('data', `${gigabytes(data.bytesPerSecond)}/s of JPEGs, ${cores(data.cores)} to decode them`)] : []),
    ...(encoding
      ? [
          row(
            'encode',
            `${duration(encoding.seconds)} for ${images} images and their mirror images with ${cores(encoding.cores)} to decode them, ${gigabytes(encoding.bytes)}`
          )
        ]
      : [])
  ]
}
