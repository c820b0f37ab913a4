import { type Command, Option } from 'commander'
import type { LatentDtype } from '../latents/index.js'
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
  data: string
  out: string
  raw?: boolean
  dtype: LatentDtype
  moments?: boolean
  sample?: boolean
  seed: number
  flip: boolean
  shardSize: number
  batch: number
  precision: Precision
  preprocess: 'adm' | 'fast'
  strict?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, or tars')
    .requiredOption('--out <folder>', 'the shard folder; the same command goes on after an interruption')
    .option('--raw', 'the weights in training instead of their moving average')
    .addOption(
      new Option('--dtype <type>', 'of the stored latents')
        .choices(['float32', 'float16', 'bfloat16'])
        .default('float32')
    )
    .option('--moments', 'store posterior means and log-variances')
    .option('--sample', 'store a sample of the posterior instead of its mean')
    .option('--seed <number>', 'of --sample', naturalNumber, 0)
    .option('--flip', 'encode the mirrored images too', true)
    .option('--no-flip', 'leave them out')
    .option('--shard-size <count>', 'images in a shard', positiveInteger, 10_000)
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
    .addOption(
      new Option('--preprocess <kind>', "adm: ADM's exact centre crop; fast: the decoder's own shrinking")
        .choices(['adm', 'fast'])
        .default('adm')
    )
    .option('--strict', 'stop at a broken image instead of leaving it out')
  addComputeOptions(command)
  addExamples(command, {
    'mactok encode runs/tiny --data photos/ --out latents/': 'posterior means, and those of the mirrored images',
    'mactok encode runs/b128 --data imagenet/train --out latents/ --moments --dtype float16':
      'means and log-variances, half the size'
  })
  command.action(run)
}

async function run(model: string, options: Options): Promise<void> {
  const { data, out, raw = false, json = false, device: _, threads: __, ...rest } = options
  const device = await prepare(options)
  const { imageSource } = await import('../data/image-source.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { encodeImages } = await import('../pipeline/encode.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  let update: ReturnType<typeof counter> | undefined
  const work = encodeImages(tokenizer, imageSource(data), out, {
    ...rest,
    signal: interruption(),
    onBroken: ({ name, reason }) => json || line.note(`left out ${name}: ${reason}`),
    onProgress: (done, total) => {
      update ??= counter(line, total)
      update(done)
    }
  })
  const result = await usage(() => work).finally(() => line.stop())
  if (json) writeJson(result)
  const { images, shards, skipped, interrupted } = result
  if (interrupted) throw new Interrupted(`Stopped with ${shards} shards in ${out}; the same command goes on after them`)
  if (!json)
    process.stdout.write(
      `${out}: ${images} images in ${shards} shard${shards === 1 ? '' : 's'}${skipped ? `, ${skipped} broken ones left out` : ''}\n`
    )
}
