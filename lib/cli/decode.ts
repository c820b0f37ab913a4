import type { Command } from 'commander'
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
  usage,
  writeJson
} from './context.js'
import { counter, ProgressLine } from './progress.js'

interface Options extends ComputeOptions {
  latents: string
  out: string
  raw?: boolean
  start?: number
  end?: number
  batch: number
  precision: Precision
  force?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--latents <folder>', 'the shard folder')
    .requiredOption('--out <folder>', 'where the PNG files go')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--start <number>', 'the first image', naturalNumber)
    .option('--end <number>', 'the one after the last image', positiveInteger)
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
    .option('--force', 'decode shards that another tokenizer encoded')
  addComputeOptions(command)
  addExamples(command, {
    'mactok decode runs/tiny --latents latents/ --out decoded/': 'every image, under its own name',
    'mactok decode runs/tiny --latents latents/ --out decoded/ --end 16': 'the first 16'
  })
  command.action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const { latents, out, raw = false, json = false, device: _, threads: __, ...rest } = options
  const device = await prepare(options)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { decodeShards } = await import('../pipeline/decode.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  let update: ReturnType<typeof counter> | undefined
  const work = decodeShards(tokenizer, latents, out, {
    ...rest,
    signal: interruption(),
    onProgress: (done, total) => {
      update ??= counter(line, total)
      update(done)
    }
  })
  const result = await usage(() => work).finally(() => line.stop())
  if (json) writeJson(result)
  if (result.interrupted) throw new Interrupted(`Stopped after ${result.images} images in ${out}`)
  if (!json) process.stdout.write(`${out}: ${result.images} images\n`)
}
