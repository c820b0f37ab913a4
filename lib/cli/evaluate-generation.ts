import { type Command, InvalidArgumentError, Option } from 'commander'
import type { GenerationEvaluation } from '../evaluation/generation.js'
import type { InceptionInput } from '../evaluation/inception.js'
import { type GenerationMetric, generationMetrics } from '../evaluation/metric-names.js'
import type { Guidance, Sweep, SweepAxis } from '../evaluation/sweep.js'
import { samplingSchema } from '../generator/sampling.js'
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
  words,
  writeJson,
  writeTable
} from './context.js'
import { counter, ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  reference: string
  metrics?: GenerationMetric[]
  inception?: string
  resize?: InceptionInput
  size?: number
  tokenizer?: string
  weak?: string
  raw?: boolean
  force?: boolean
  count: number
  seed: number
  batch: number
  precision: Precision
  sweep?: SweepAxis[]
  scales?: number[]
  intervals?: [number, number][]
  by: GenerationMetric
  out?: string
}

export const inceptionInputOption = (): Option =>
  new Option(
    '--resize <kind>',
    "to Inception's 299 pixels: as pytorch-fid, or as ADM's evaluator (TensorFlow), whose statistics need it"
  ).choices(['pytorch', 'tensorflow'])

const numbers = (text: string): number[] =>
  words(text).map((word) => {
    if (!Number.isFinite(Number(word))) throw new InvalidArgumentError('Expected numbers, comma-separated.')
    return Number(word)
  })

const pairs = (text: string): [number, number][] =>
  words(text).map((word) => {
    const [low = Number.NaN, high = Number.NaN] = word.split(':').map(Number)
    if (!(low >= 0 && low <= high && high <= 1))
      throw new InvalidArgumentError('Expected intervals within 0:1 such as 0.1:0.9, comma-separated.')
    return [low, high]
  })

const axes = (text: string): SweepAxis[] =>
  words(text).map((word) => {
    if (word !== 'guidance' && word !== 'interval')
      throw new InvalidArgumentError('Expected guidance, interval, or both.')
    return word
  })

export function define(command: Command): void {
  command
    .argument('<generated>', "a generator (run, checkpoint, folder), an .npz of ADM's, a folder of images, or tars")
    .requiredOption('--reference <path>', "statistics (.npz), ADM's reference batch, or real images: a folder, tars")
    .option('--metrics <list>', 'of fid, sfid, is, precision, recall (default: all that can be computed)', words)
    .option('--inception <weights>', "FID's Inception, with fc for the Inception score (default: inception-fid)")
    .addOption(inceptionInputOption())
    .option('--size <pixels>', "side of a folder's images (default: the first one's short side)", positiveInteger)
    .option('--tokenizer <folder>', "decodes a generator's samples")
    .option('--weak <folder>', 'a weaker generator that guides instead of the prediction without class')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--force', 'decode with another tokenizer than the one it was trained for')
    .option('--count <count>', 'samples to draw', positiveInteger, 50_000)
    .option('--seed <number>', 'decides noise and classes', naturalNumber, 0)
    .option('--batch <count>', 'images in one pass', positiveInteger, 64)
    .addOption(precisionOption())
    .option('--sweep <axes>', 'guidance, interval, or guidance,interval: the best scale, then the best interval', axes)
    .option('--scales <list>', 'guidance scales to try (default: 1 to 4)', numbers)
    .option('--intervals <list>', 'guidance intervals to try, such as 0:1,0.1:0.9 (default: 12 of them)', pairs)
    .addOption(new Option('--by <metric>', 'what the best is chosen by').choices(generationMetrics).default('fid'))
    .option('--out <folder>', 'keeps results, curves, and what an interrupted call has done')
  addComputeOptions(command)
  addSettings(command, samplingSchema)
  addExamples(command, {
    'mactok evaluate generation runs/xl --tokenizer runs/b128 --reference VIRTUAL_imagenet256_labeled.npz':
      "50,000 samples against ADM's reference",
    'mactok evaluate generation samples.npz --reference imagenet/val': 'of samples that are there already',
    'mactok evaluate generation runs/xl --tokenizer runs/b128 --reference stats.npz --count 10000 --sweep guidance,interval --out sweep/':
      'the best guidance; the same command goes on after an interruption'
  })
  command.action(run)
}

async function run(path: string, options: Options & Record<string, unknown>): Promise<void> {
  const { json = false, tokenizer, sweep, out } = options
  if (sweep && tokenizer === undefined) throw new UsageError('Expected --tokenizer <folder> with --sweep')
  if (sweep && out === undefined) throw new UsageError('Expected --out <folder> with --sweep')
  const device = await prepare(options)
  const { writeJson: saveJson } = await import('../files/atomic.js')
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const result = await interruptible((signal) =>
    usage(() => (tokenizer === undefined ? ofImages : ofGenerator)(path, { ...options, device, signal, line }))
  ).finally(() => line.stop())
  if (out !== undefined && !sweep) await saveJson(`${out}/evaluation.json`, result)
  if (json) return writeJson(result)
  if ('best' in result) return writeSweep(result)
  for (const notice of result.notices) process.stderr.write(`${notice}\n`)
  writeTable([['images', result.images], ...shown(result)])
}

type Call = Options & Record<string, unknown> & { device: string; signal: AbortSignal; line: ProgressLine }

const progressOf = (line: ProgressLine, text: string) => {
  let update: ReturnType<typeof counter> | undefined
  return (done: number, total: number) => {
    update ??= counter(line, total)
    update(done, text)
  }
}

/** The reference, and the Inception as its statistics want it. */
async function prepareReference({ reference, resize, inception: weights, ...call }: Call, size: number) {
  const { Inception } = await import('../evaluation/inception.js')
  const { openReference, referenceInput } = await import('../evaluation/generation.js')
  const { device, precision, metrics, batch, signal, line, out } = call
  const input = resize ?? (await referenceInput(reference))
  const inception = await Inception.load({ ...(weights && { weights }), device, input, precision })
  const against = await openReference(inception, reference, {
    ...{ size, batch, signal, onProgress: progressOf(line, 'reference') },
    ...(metrics && { metrics }),
    ...(out && { partial: `${out}/reference.partial.npz` })
  })
  return { inception, against }
}

async function ofImages(path: string, call: Call): Promise<GenerationEvaluation> {
  const { openImages, imageKey } = await import('../evaluation/image-stream.js')
  const { evaluateGeneration } = await import('../evaluation/generation.js')
  const { size, metrics, batch, signal, line, out } = call
  const { findGenerator } = await import('../generator/folder.js')
  if (!path.endsWith('.npz') && (await findGenerator(path).catch(() => null)))
    throw new UsageError(`Expected --tokenizer <folder> to decode what the generator ${path} makes`)
  await using images = await openImages(path, { size })
  const { inception, against } = await prepareReference(call, images.width)
  using _ = inception
  using __ = against
  return await evaluateGeneration(inception, images, against, {
    ...{ batch, signal, onProgress: progressOf(line, 'generated') },
    ...(metrics && { metrics }),
    ...(out && { partial: { file: `${out}/generated.partial.npz`, key: await imageKey(path) } })
  })
}

async function ofGenerator(path: string, call: Call): Promise<GenerationEvaluation | Sweep> {
  const { Generator } = await import('../generator/generator.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { generatedImages, sampleKey } = await import('../evaluation/generated-images.js')
  const { evaluateGeneration } = await import('../evaluation/generation.js')
  const { sweepGuidance } = await import('../evaluation/sweep.js')
  const { writeSweepPlots } = await import('../evaluation/sweep-plot.js')
  const { metrics, batch, signal, line, out, device, precision, seed, count, force = false, raw = false } = call
  const folders = { generator: path, tokenizer: call.tokenizer as string, raw, weak: call.weak }
  const settings = givenSettings(call, samplingSchema) as Record<string, unknown> & { guidance?: Partial<Guidance> }
  using generator = await Generator.load(path, { device, raw, precision })
  using tokenizer = await Tokenizer.load(folders.tokenizer, { device })
  using weak = folders.weak === undefined ? null : await Generator.load(folders.weak, { device })
  const { inception, against } = await prepareReference(call, tokenizer.config.imageSize)
  using _ = inception
  using __ = against
  const key = await sampleKey(folders, { settings, seed, count, precision, reference: call.reference, metrics })
  const evaluate = async (guidance: Partial<Guidance>, text: string) => {
    const sampling = { ...settings, guidance: { ...settings.guidance, ...guidance } }
    const samples = generatedImages(generator, tokenizer, count, {
      ...{ ...sampling, seed, precision, force, signal },
      ...(weak && { weak })
    })
    return evaluateGeneration(inception, samples, against, {
      ...{ batch, signal, onProgress: progressOf(line, text) },
      ...(metrics && { metrics }),
      ...(out && { partial: { file: `${out}/samples.partial.npz`, key: `${key} ${JSON.stringify(guidance)}` } })
    })
  }
  if (!call.sweep) return await evaluate({}, 'samples')
  const { scale = 1, low = 0, high = 1 } = settings.guidance ?? {}
  const sweep = await sweepGuidance((guidance) => evaluate(guidance, describe(guidance)), {
    ...{ axes: call.sweep, by: call.by, key, start: { scale, low, high } },
    ...(call.scales && { scales: call.scales }),
    ...(call.intervals && { intervals: call.intervals }),
    ...(out && { folder: out })
  })
  if (out) await writeSweepPlots(out, sweep)
  return sweep
}

const describe = ({ scale, low, high }: Guidance) => `scale ${scale} from ${low} to ${high}`

const titles: Record<GenerationMetric, string> = {
  ...{ fid: 'FID', sfid: 'sFID', is: 'Inception score', precision: 'precision', recall: 'recall' }
}

const shown = (metrics: GenerationEvaluation): [string, unknown][] =>
  (Object.keys(titles) as GenerationMetric[]).flatMap((name): [string, unknown][] => {
    const value = metrics[name]
    return typeof value === 'number' ? [[titles[name], value.toFixed(name === 'is' ? 2 : 4)]] : []
  })

function writeSweep({ points, best, by }: Sweep): void {
  for (const notice of best.metrics.notices) process.stderr.write(`${notice}\n`)
  for (const point of points) {
    const values = shown(point.metrics).map(([name, value]) => `${name} ${value}`)
    process.stdout.write(`${point === best ? '*' : ' '} ${describe(point).padEnd(28)} ${values.join('  ')}\n`)
  }
  process.stdout.write(`best ${titles[by]}: ${describe(best)}\n`)
}
