import type { Command } from 'commander'
import type { Precision } from '../native/addon.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  interruptible,
  naturalNumber,
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
  data?: string
  tokenizer?: string
  out?: string
  raw?: boolean
  count: number
  tokens: number
  neighbours: number
  seed: number
  batch: number
  precision: Precision
}

export function define(command: Command): void {
  command
    .argument('<path>', 'a tokenizer (run folder, checkpoint, model folder) or a shard folder')
    .option('--data <path>', 'images: a folder or tars; a shard folder needs none (with --tokenizer: for grids)')
    .option('--tokenizer <folder>', "decodes a shard folder's latents for the grids")
    .option('--out <folder>', 'default: latents/ in a run folder, else latent-space/')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--count <count>', 'the most images, spread over the listing', positiveInteger, 2_000)
    .option('--tokens <count>', 'tokens to perturb, spread over all', positiveInteger, 12)
    .option('--neighbours <count>', 'of UMAP; 0: no UMAP', naturalNumber, 15)
    .option('--seed <number>', 'of UMAP', naturalNumber, 0)
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
  addComputeOptions(command)
  addExamples(command, {
    'mactok inspect latents runs/tiny --data photos/':
      'PCA, UMAP, KL, what tokens control, interpolation; its report shows them',
    'mactok inspect latents latents/ --out latent-space/': 'of latents that are encoded already'
  })
  command.action(run)
}

async function run(path: string, options: Options): Promise<void> {
  const { json = false } = options
  const device = await prepare(options)
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const result = await interruptible((signal) =>
    usage(() => inspectLatents(path, options, { device, signal, line }))
  ).finally(() => line.stop())
  if (json) return writeJson(result)
  const { folder, images, tokens, channels, activeUnits, klPerToken, files } = result
  writeTable([
    ['images', images],
    ['latents', `${tokens} tokens of ${channels} channels`],
    ['active units', `${(100 * activeUnits).toFixed(1)} %`],
    ...(klPerToken
      ? [['KL', `${klPerToken.reduce((sum, value) => sum + value, 0).toFixed(2)} nats`] as [string, string]]
      : []),
    ['written', `${folder}: ${files.join(', ')}`]
  ])
}

interface Call {
  device: string
  signal: AbortSignal
  line: ProgressLine
}

async function inspectLatents(path: string, options: Options, { device, signal, line }: Call) {
  const { data, raw = false, count, tokens, neighbours, seed, batch, precision, json } = options
  const { imageSource } = await import('../data/image-source.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { findTokenizer } = await import('../tokenizer/folder.js')
  const { openLatents } = await import('../latents/index.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  const { encodeSamples, readSamples } = await import('../evaluation/latent-samples.js')
  const { describeLatents } = await import('../evaluation/latent-space.js')

  const isTokenizer = await findTokenizer(path, raw).then(
    () => true,
    () => false
  )
  if (isTokenizer && data === undefined) throw new UsageError('Expected --data <path>, images to encode')
  if (options.tokenizer !== undefined && data === undefined)
    throw new UsageError('Expected --data <path> with --tokenizer, images for the grids')
  const model = isTokenizer ? path : options.tokenizer
  using tokenizer = model === undefined ? null : await Tokenizer.load(model, { device, raw, precision })
  const source = data === undefined ? null : imageSource(data)
  let update: ReturnType<typeof counter> | undefined
  const reading = {
    ...{ count, batch, precision, signal },
    onProgress: (done: number, total: number) => {
      update ??= counter(line, total)
      update(done)
    }
  }
  const read = async () => {
    if (isTokenizer && tokenizer && source) return encodeSamples(tokenizer, source, reading)
    await using shards = await openLatents(path)
    return await readSamples(shards, reading)
  }
  const samples = await read()
  const inRun = isTokenizer && (await readTokenizerRun(path)) !== null
  const folder = options.out ?? (inRun ? `${path.replace(/[\\/]$/, '')}/latents` : 'latent-space')
  const result = await describeLatents(samples, folder, {
    ...(tokenizer && source && { decoder: { tokenizer, images: source } }),
    ...{ tokens, neighbours, seed },
    onStage: (stage) => json || line.note(stage)
  })
  return { folder, ...result }
}
