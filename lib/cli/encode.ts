import type { Command } from 'commander'
import { encodeSchema } from '../pipeline/encode-schema.js'
import { Interrupted, interruption, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, prepare } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data: string
  out: string
  raw?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, or tars')
    .requiredOption('--out <folder>', 'the shard folder; the same command resumes an interrupted one')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, encodeSchema)
  addExamples(command, {
    'mactok encode runs/tiny --data photos/ --out latents/': 'posterior means of the images and of the mirrored images',
    'mactok encode runs/b128 --data imagenet/train --out latents/ --moments --dtype float16':
      'means and log-variances, at half the size'
  })
  command.action(run)
}

async function run(model: string, options: Options & Record<string, unknown>): Promise<void> {
  const { data, out, raw = false, json = false } = options
  const settings = givenSettings(options, encodeSchema)
  const device = await prepare(options)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { encodeImages } = await import('../pipeline/encode.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const source = await account.source(data)
  const result = await usage(() =>
    encodeImages(tokenizer, source, out, {
      ...settings,
      signal: interruption(),
      onBroken: account.onBroken,
      onProgress: line.counting()
    })
  ).finally(() => line.stop())
  if (json) writeJson({ ...result, unread: account.unread })
  const { images, shards, skipped, interrupted } = result
  if (interrupted) {
    throw new Interrupted(`Interrupted with ${shards} shards in ${out}; run the same command again to resume`)
  }
  if (json) return
  const written = `${images} images in ${shards} shard${shards === 1 ? '' : 's'}`
  process.stdout.write(`${out}: ${written}\n`)
  account.report(skipped)
}
