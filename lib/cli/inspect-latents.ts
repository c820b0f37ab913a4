import type { Command } from 'commander'
import type { z } from 'zod'
import { parseConfig, pickSettings } from '../config.js'
import { latentSampleSchema, latentSpaceSchema } from '../evaluation/schema.js'
import { refuseExisting } from '../files/overwrite.js'
import { exists } from '../files/stat.js'
import { interruptible, UsageError, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, prepare } from './options.js'
import { fixed, writeJson, writeTable } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  data?: string
  tokenizer?: string
  out?: string
  force?: boolean
  raw?: boolean
}

const schema = latentSampleSchema.extend(latentSpaceSchema.shape)

type Settings = z.output<typeof schema>

const defaultFolder = 'latent-space'

export function define(command: Command): void {
  command
    .argument('[path]', 'a tokenizer (run folder, checkpoint, model folder) or a shard folder')
    .option('--data <path>', 'images: a folder or tars; needed for a tokenizer, and for the grids of a shard folder')
    .option('--tokenizer <folder>', "decode a shard folder's latents for the grids")
    .option('--out <folder>', `default: latents/ in a run folder, else ${defaultFolder}/, if there is none yet`)
    .option('--force', `overwrite what is in ${defaultFolder}/`)
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, schema)
  addExamples(command, {
    'mactok inspect latents runs/tiny --data photos/':
      'PCA, UMAP, KL, what tokens control, interpolation; the report of the run shows them',
    'mactok inspect latents latents/ --out latent-space/': 'of latents that are encoded already'
  })
  command.action(run)
}

async function run(path: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  if (path === undefined) {
    const hint = (await exists('latents')) ? '; `mactok inspect ./latents` describes what is in latents' : ''
    throw new UsageError(`Expected <path>, a tokenizer or a shard folder${hint}`)
  }
  const { json = false } = options
  const settings = usage(() => parseConfig(schema, givenSettings(options, schema)))
  const device = await prepare(options)
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const result = await interruptible((signal) =>
    usage(() => inspectLatents(path, { ...options, ...settings, device, signal, line, account }))
  ).finally(() => line.stop())
  if (json) return writeJson({ ...result, unread: account.unread })
  const { folder, images, tokens, channels, activeUnits, klPerToken, mutualInformation, files } = result
  const kl = klPerToken?.reduce((sum, value) => sum + value, 0)
  const rows: [string, unknown][] = [
    ['images', images],
    ['latents', `${tokens} tokens of ${channels} channels`],
    ['active units', `${fixed(100 * activeUnits, 1)} %`]
  ]
  if (kl !== undefined) rows.push(['KL', `${fixed(kl, 2)} nats`])
  if (mutualInformation !== undefined) {
    rows.push(['mutual information', `${fixed(mutualInformation, 2)} of at most ${fixed(Math.log(images), 2)} nats`])
  }
  writeTable([...rows, ['written', `${folder}: ${files.join(', ')}`]])
  account.report()
}

interface Call extends Options, Settings {
  device: string
  signal: AbortSignal
  line: ProgressLine
  account: ImageAccount
}

async function inspectLatents(path: string, call: Call) {
  const { data, raw = false, force, device, precision, signal, line, account } = call
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { findModel } = await import('../runs/model-folder.js')
  const { openLatents } = await import('../latents/index.js')
  const { readTokenizerRun } = await import('../training/tokenizer/record.js')
  const { encodeSamples, readSamples } = await import('../evaluation/latent-samples.js')
  const { describeLatents } = await import('../evaluation/latent-space.js')

  const isTokenizer = await findModel(path, 'tokenizer', raw).then(
    () => true,
    () => false
  )
  if (isTokenizer && data === undefined) throw new UsageError('Expected --data <path>, images to encode')
  if (call.tokenizer !== undefined && data === undefined) {
    throw new UsageError('Expected --data <path> with --tokenizer, images for the grids')
  }
  const model = isTokenizer ? path : call.tokenizer
  using tokenizer = model === undefined ? null : await Tokenizer.load(model, { device, raw, precision })
  const images = data === undefined ? null : await account.source(data)
  const read = async () => {
    if (isTokenizer && tokenizer && images) {
      const { onBroken } = account
      return encodeSamples(tokenizer, images, {
        ...pickSettings(latentSampleSchema, call),
        signal,
        onBroken,
        onProgress: line.counting()
      })
    }
    await using shards = await openLatents(path)
    return await readSamples(shards, { count: call.count })
  }
  const isRun = isTokenizer && (await readTokenizerRun(path)) !== null
  const folder = call.out ?? (isRun ? `${path.replace(/[\\/]$/, '')}/latents` : defaultFolder)
  if (call.out === undefined && !isRun && !force) {
    await refuseExisting([folder], 'name another by --out, or give --force')
  }
  const samples = await read()
  const result = await describeLatents(samples, folder, {
    ...pickSettings(latentSpaceSchema, call),
    decoder: tokenizer && images ? { tokenizer, images } : undefined,
    onStage: (stage) => line.note(stage)
  })
  return { folder, ...result }
}
