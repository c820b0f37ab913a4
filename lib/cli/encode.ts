import type { Command } from 'commander'
import { MactokError } from '../errors.js'
import type { ShardProblem } from '../latents/index.js'
import { encodeSchema } from '../pipeline/encode-schema.js'
import { Interrupted, interruption, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { prepareRank, rankPrefix, ranksOfJob } from './ranks.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data: string
  out: string
  raw?: boolean
  verify?: boolean
}

export function define(command: Command): void {
  command
    .argument('<tokenizer>', 'a run folder, a checkpoint or a model folder')
    .requiredOption('--data <path>', 'a folder of images, tars or parquet files')
    .requiredOption('--out <folder>', 'the shard folder; the same command resumes an interrupted one')
  command.option(
    '--verify',
    'compare the folder with the images instead, writing nothing; exits with 1 if anything differs'
  )
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, encodeSchema)
  addExamples(command, {
    'mactok encode runs/tiny --data photos/ --out latents/': 'posterior means of the images and of the mirrored images',
    'mactok encode runs/b128 --data imagenet/train --out latents/ --moments --dtype float16':
      'means and log-variances, at half the size',
    'srun --ntasks 8 mactok encode runs/b128 --data imagenet/train --out latents/':
      'eight processes share the work and the folder; so do torchrun, Slurm arrays and Kubernetes indexed jobs'
  })
  command.action(run)
}

async function run(model: string, options: Options & Record<string, unknown>): Promise<void> {
  const { data, out, raw = false, json = false } = options
  const settings = givenSettings(options, encodeSchema)
  const ranks = ranksOfJob()
  const device = await prepareRank(options, ranks)
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { encodeImages, verifyEncoding } = await import('../pipeline/encode.js')
  using tokenizer = await Tokenizer.load(model, { device, raw })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const source = await account.source(data)
  if (options.verify) {
    const problems = await usage(() => verifyEncoding(tokenizer, source, out, { ...settings, ranks }))
    return reportProblems(out, problems, json)
  }
  const result = await usage(() =>
    encodeImages(tokenizer, source, out, {
      ...settings,
      ranks,
      signal: interruption(),
      onBroken: account.onBroken,
      onProgress: line.counting()
    })
  ).finally(() => line.stop())
  if (json) writeJson({ ...result, unread: account.unread })
  const { images, shards, skipped, interrupted, missing } = result
  if (interrupted) {
    throw new Interrupted(`Interrupted with ${shards} shards in ${out}; run the same command again to resume`)
  }
  if (json) return
  const written = `${images} images in ${shards} shard${shards === 1 ? '' : 's'}`
  const rest =
    missing === 0 ? '' : `; ${missing} still to come from other ranks, the last of which completes the folder`
  process.stdout.write(`${rankPrefix(ranks)}${out}: ${written}${rest}\n`)
  account.report(skipped)
}

function reportProblems(folder: string, problems: readonly ShardProblem[], json: boolean): void {
  if (json) writeJson({ folder, problems })
  else for (const { file, reason } of problems) process.stdout.write(`${file}: ${reason}\n`)
  if (problems.length > 0) {
    const files = `${problems.length} file${problems.length === 1 ? '' : 's'}`
    throw new MactokError('ERR_FORMAT', `${folder}: ${files} differ; --repair instead of --verify encodes them again`)
  }
  if (!json) process.stdout.write(`${folder}: as encoded\n`)
}
