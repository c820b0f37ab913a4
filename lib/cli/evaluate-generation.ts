import { type Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { parseConfig, pickSettings } from '../config.js'
import type { Ranks } from '../distributed/ranks.js'
import type { DrawOptions } from '../evaluation/generated-images.js'
import type { GenerationEvaluation } from '../evaluation/generation.js'
import { type GenerationMetric, inceptionInputs, metricTitles } from '../evaluation/metric-names.js'
import {
  dinov2Schema,
  drawSchema,
  generationSchema,
  inceptionSchema,
  referenceSchema,
  sweepSchema
} from '../evaluation/schema.js'
import type { Guidance, Sweep } from '../evaluation/sweep.js'
import type { Generator } from '../generator/generator.js'
import { samplingSchema } from '../generator/sampling.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { interruptible, UsageError, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, words } from './options.js'
import { fixed, writeJson, writeTable } from './output.js'
import { ProgressLine } from './progress.js'
import { prepareRank, rankPrefix, ranksOfJob } from './ranks.js'
import { addSettings, givenSettings } from './settings.js'

const schema = z
  .strictObject({
    metrics: generationSchema.shape.metrics,
    inception: inceptionSchema.shape.weights,
    dinov2: dinov2Schema.shape.weights,
    resize: z
      .enum(inceptionInputs)
      .optional()
      .describe(`${inceptionSchema.shape.input.description} (default: as the reference records)`),
    size: referenceSchema.shape.size,
    orientation: referenceSchema.shape.orientation,
    count: drawSchema.shape.count,
    seed: drawSchema.shape.seed,
    force: z.boolean().default(false).describe('decode with another tokenizer than the one it was trained for'),
    batch: generationSchema.shape.batch,
    precision: inceptionSchema.shape.precision,
    sweep: sweepSchema.shape.axes
      .optional()
      .describe('search the best guidance: guidance (scales), interval, or guidance,interval: one after the other'),
    scales: sweepSchema.shape.scales,
    intervals: sweepSchema.shape.intervals,
    by: sweepSchema.shape.by
  })
  .extend(samplingSchema.shape)

interface Options extends ComputeOptions {
  reference: string
  tokenizer?: string
  weak?: string
  raw?: boolean
  out?: string
}

const parseIntervals = (text: string): [number, number][] =>
  words(text).map((word) => {
    const [low = Number.NaN, high = Number.NaN] = word.split(':').map(Number)
    if (!(low >= 0 && low <= high && high <= 1)) {
      throw new InvalidArgumentError('Expected intervals within 0:1 such as 0.1:0.9, comma-separated.')
    }
    return [low, high]
  })

export function define(command: Command): void {
  command
    .argument(
      '<generated>',
      "a generator (run, checkpoint, folder), an .npz in ADM's format, a folder of images, or tars"
    )
    .requiredOption('--reference <path>', "statistics (.npz), ADM's reference batch, or real images: a folder, tars")
    .option('--tokenizer <folder>', "the tokenizer that decodes a generator's samples")
    .option('--weak <folder>', 'guide by this weaker generator instead of the prediction without a class')
    .option('--out <folder>', 'write results and curves here; the same command resumes an interrupted one')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, schema, ['intervals'])
  command.addOption(
    new Option('--intervals <list>', 'guidance intervals to try, such as 0:1,0.1:0.9 (default: 12 of them)')
      .argParser(parseIntervals)
      .helpGroup('Settings:')
  )
  addExamples(command, {
    'mactok evaluate generation runs/xl --tokenizer runs/b128 --reference VIRTUAL_imagenet256_labeled.npz':
      "50,000 samples against ADM's reference",
    'mactok evaluate generation samples.npz --reference imagenet/val': 'samples that were drawn already',
    'mactok evaluate generation runs/sit --tokenizer runs/tiny --reference photos/ --count 1000 --metrics kid,fdDinov2 --dinov2 dinov2-small':
      'distances that suit fewer samples than FID',
    'mactok evaluate generation runs/xl --tokenizer runs/b128 --reference stats.npz --count 10000 --sweep guidance,interval --out sweep/':
      'the best guidance; the same command resumes after an interruption'
  })
  command.action(run)
}

type Settings = z.output<typeof schema>

interface Call extends Options, Settings {
  device: string
  ranks: Ranks
  signal: AbortSignal
  line: ProgressLine
  account: ImageAccount
}

async function run(path: string, options: Options & Record<string, unknown>): Promise<void> {
  const { json = false, tokenizer, out } = options
  const given = givenSettings(options, schema)
  const settings = usage(() => parseConfig(schema, given))
  const { sweep, metrics, by } = settings
  if (sweep && tokenizer === undefined) throw new UsageError('Expected --tokenizer <folder> with --sweep')
  if (sweep && out === undefined) throw new UsageError('Expected --out <folder> with --sweep')
  if (sweep) {
    const { decidingMetric } = await import('../evaluation/sweep.js')
    usage(() => decidingMetric(by, metrics))
  }
  const ranks = ranksOfJob()
  if (ranks.worldSize > 1) checkShared(tokenizer, out, sweep !== undefined)
  const device = await prepareRank(options, ranks)
  const { writeJson: saveJson } = await import('../files/atomic.js')
  const { writeSweepPlots: saveSweepPlots } = await import('../evaluation/sweep-plot.js')
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const evaluate = tokenizer === undefined ? evaluateImages : evaluateGenerator
  const result = await interruptible((signal) =>
    usage(() => evaluate(path, { ...options, ...settings, device, signal, line, account, ranks }))
  ).finally(() => line.stop())
  if ('missing' in result) {
    if (json) return writeJson(result)
    const rest = `${result.missing} batches to come from other ranks, the last of which evaluates all`
    process.stdout.write(`${rankPrefix(ranks)}${out}: drawn; ${rest}\n`)
    return
  }
  if (json) {
    writeJson({ ...result, unread: account.unread })
  } else {
    if ('best' in result) writeSweep(result)
    else writeEvaluation(result)
    account.report()
  }
  // Saved last: a folder that cannot be written to is an error, but loses no numbers.
  if (out === undefined) return
  if ('best' in result) await saveSweepPlots(out, result)
  else await saveJson(`${out}/evaluation.json`, result)
}

/** Several ranks draw a generator's samples together; everything else is the work of one process. */
function checkShared(tokenizer: string | undefined, out: string | undefined, sweep: boolean): void {
  if (tokenizer === undefined)
    throw new UsageError('Expected a process alone to evaluate images: several ranks only share drawing')
  if (sweep) throw new UsageError('Expected no --sweep among several ranks: evaluate one guidance at a time')
  if (out === undefined) throw new UsageError('Expected --out <folder>, which all ranks share')
}

/** The reference, and the networks that the metrics and its statistics require. */
async function prepareReference(call: Call, size: number) {
  const { loadNetworks } = await import('../evaluation/networks.js')
  const { openReference, referenceInput } = await import('../evaluation/generation.js')
  const {
    reference,
    resize,
    inception,
    dinov2,
    device,
    precision,
    metrics,
    orientation,
    batch,
    signal,
    line,
    account,
    out
  } = call
  const { onBroken, onIgnored } = account
  const input = resize ?? (await referenceInput(reference))
  const networks = await loadNetworks(metrics, { inception, dinov2, device, input, precision })
  const against = await openReference(networks, reference, {
    metrics,
    size,
    orientation,
    batch,
    signal,
    onBroken,
    onIgnored,
    onProgress: line.counting('reference'),
    partial: out && `${out}/reference.partial.npz`
  })
  return { networks, against }
}

async function evaluateImages(path: string, call: Call): Promise<GenerationEvaluation> {
  const { openImages, imageKey } = await import('../evaluation/image-stream.js')
  const { evaluateGeneration } = await import('../evaluation/generation.js')
  const { findModel } = await import('../runs/model-folder.js')
  const { size, metrics, orientation, batch, signal, line, account, out } = call
  if (!path.endsWith('.npz') && (await findModel(path, 'generator', false).catch(() => null))) {
    throw new UsageError(`Expected --tokenizer <folder> to decode the samples of the generator ${path}`)
  }
  await using images = await openImages(path, {
    size,
    orientation,
    onBroken: account.onBroken,
    onIgnored: account.onIgnored
  })
  const { networks, against } = await prepareReference(call, images.width)
  using _ = networks
  using __ = against
  return await evaluateGeneration(networks, images, against, {
    metrics,
    batch,
    signal,
    onProgress: line.counting('generated'),
    partial: out ? { file: `${out}/generated.partial.npz`, key: await imageKey(path, orientation) } : null
  })
}

/** Parts that other ranks have still to draw. */
interface Waiting {
  missing: number
}

async function evaluateGenerator(path: string, call: Call): Promise<GenerationEvaluation | Sweep | Waiting> {
  const { Generator } = await import('../generator/generator.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { generatedImages } = await import('../evaluation/generated-images.js')
  const { evaluateGeneration } = await import('../evaluation/generation.js')
  const { imageKey } = await import('../evaluation/image-stream.js')
  const { hashModels } = await import('../generator/hash-models.js')
  const { sweepGuidance } = await import('../evaluation/sweep.js')
  const { metrics, batch, signal, line, out, device, precision, seed, count, force, raw = false } = call
  const sampling = pickSettings(samplingSchema, call)
  using generator = await Generator.load(path, { device, raw, precision })
  using tokenizer = await Tokenizer.load(call.tokenizer as string, { device })
  using weak = call.weak === undefined ? undefined : await Generator.load(call.weak, { device })
  const drawing = { ...sampling, seed, precision, force, signal, weak }
  if (call.ranks.worldSize > 1) return await evaluateShared(generator, tokenizer, call, drawing)
  const { networks, against } = await prepareReference(call, tokenizer.config.imageSize)
  using _ = networks
  using __ = against
  // Only what is kept in a folder needs a key.
  const key = out
    ? JSON.stringify({
        models: await hashModels({ generator, tokenizer, weak }),
        ...{ sampling, seed, count, precision, metrics },
        reference: await imageKey(call.reference, call.orientation),
        inception: [networks.inception?.key, networks.inception?.input],
        dinov2: await networks.dinov2?.identity()
      })
    : ''
  const evaluate = async (guidance: Partial<Guidance>, text: string) => {
    const samples = generatedImages(generator, tokenizer, count, {
      ...drawing,
      guidance: { ...sampling.guidance, ...guidance }
    })
    return evaluateGeneration(networks, samples, against, {
      metrics,
      batch,
      signal,
      onProgress: line.counting(text),
      partial: out ? { file: `${out}/samples.partial.npz`, key: `${key} ${JSON.stringify(guidance)}` } : null
    })
  }
  if (!call.sweep) return await evaluate({}, 'samples')
  const { scale, low, high } = sampling.guidance
  return await sweepGuidance((guidance) => evaluate(guidance, describe(guidance)), {
    axes: call.sweep,
    scales: call.scales,
    intervals: call.intervals,
    by: call.by,
    metrics,
    start: { scale, low, high },
    folder: out,
    key
  })
}

/** Draws this rank's samples; the last rank evaluates all of them. */
async function evaluateShared(
  generator: Generator,
  tokenizer: Tokenizer,
  call: Call,
  drawing: DrawOptions
): Promise<GenerationEvaluation | Waiting> {
  const { drawAmongRanks } = await import('../evaluation/generated-images.js')
  const { evaluateGeneration } = await import('../evaluation/generation.js')
  const { hashModels } = await import('../generator/hash-models.js')
  const { SampleParts } = await import('../generator/sample-parts.js')
  const { metrics, batch, signal, line, out, count, ranks } = call
  const { signal: _signal, weak, ...settings } = drawing
  const key = JSON.stringify([await hashModels({ generator, tokenizer, weak }), settings])
  const plan = { key, total: count, batch, size: tokenizer.config.imageSize }
  const parts = await SampleParts.open(`${out}/samples.parts`, plan, ranks)
  const samples = await drawAmongRanks(generator, tokenizer, parts, {
    ...drawing,
    onProgress: line.counting('samples')
  })
  if (typeof samples === 'number') return { missing: samples }
  const { networks, against } = await prepareReference(call, tokenizer.config.imageSize)
  using _ = networks
  using __ = against
  const progress = line.counting('evaluated')
  const result = await parts.merge(() =>
    evaluateGeneration(networks, samples, against, { metrics, batch, signal, onProgress: progress })
  )
  return result ?? { missing: 0 }
}

const describe = ({ scale, low, high }: Guidance) => `scale ${scale} from ${low} to ${high}`

const digits: Partial<Record<GenerationMetric, number>> = { is: 2, kid: 5, fdDinov2: 2, kdDinov2: 5 }

const metricRows = (metrics: GenerationEvaluation): [string, string][] =>
  (Object.keys(metricTitles) as GenerationMetric[]).flatMap((name): [string, string][] => {
    const value = metrics[name]
    return typeof value === 'number' ? [[metricTitles[name], fixed(value, digits[name] ?? 4)]] : []
  })

function writeEvaluation(result: GenerationEvaluation): void {
  for (const notice of result.notices) process.stderr.write(`${notice}\n`)
  writeTable([['images', result.images], ...metricRows(result)])
}

function writeSweep({ points, best, by }: Sweep): void {
  for (const notice of best.metrics.notices) process.stderr.write(`${notice}\n`)
  for (const point of points) {
    const values = metricRows(point.metrics).map(([name, value]) => `${name} ${value}`)
    process.stdout.write(`${point === best ? '*' : ' '} ${describe(point).padEnd(28)} ${values.join('  ')}\n`)
  }
  process.stdout.write(`best ${metricTitles[by]}: ${describe(best)}\n`)
}
