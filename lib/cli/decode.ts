import type { Command } from 'commander'
import { decodeSchema } from '../pipeline/decode-schema.js'
import { Interrupted, interruption, usage } from './exit.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, prepare } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  latents: string
  out: string
  raw?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--latents <folder>', 'the shard folder')
    .requiredOption('--out <folder>', 'the folder for the PNG files')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, decodeSchema)
  addExamples(command, {
    'mactok decode runs/tiny --latents latents/ --out decoded/': 'every image, under its own name',
    'mactok decode runs/tiny --latents latents/ --out decoded/ --end 16': 'the first 16'
  })
  command.action(run)
}

async function run(model: string, options: Options & Record<string, unknown>): Promise<void> {
  const { latents, out, raw = false, json = false } = options
  const settings = givenSettings(options, decodeSchema)
  const device = await prepare(options)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { decodeShards } = await import('../pipeline/decode.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const result = await usage(() =>
    decodeShards(tokenizer, latents, out, { ...settings, signal: interruption(), onProgress: line.counting() })
  ).finally(() => line.stop())
  if (json) writeJson(result)
  if (result.interrupted) throw new Interrupted(`Interrupted after ${result.images} images in ${out}`)
  if (!json) process.stdout.write(`${out}: ${result.images} images\n`)
}
