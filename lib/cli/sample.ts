import type { Command } from 'commander'
import { fileStamp } from '../files/stat.js'
import { sampleSchema } from '../pipeline/sample-schema.js'
import { Interrupted, interruption, UsageError, usage } from './exit.js'
import { addComputeOptions, addExamples, addRawOption, type ComputeOptions, words } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { prepareRank, rankPrefix, ranksOfJob } from './ranks.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  tokenizer: string
  out?: string
  grid?: string
  npz?: string
  classes?: (number | string)[]
  weak?: string
  raw?: boolean
}

/** `3,cat` as a label and a name. */
const parseClasses = (text: string): (number | string)[] =>
  words(text).map((word) => (/^\d+$/.test(word) ? Number(word) : word))

export function define(command: Command): void {
  command
    .argument('<generator>', 'a run folder, a checkpoint or a generator folder')
    .requiredOption('--tokenizer <folder>', 'the tokenizer that decodes the latents')
    .option('--out <folder>', 'write one PNG per sample')
    .option('--grid <file>', 'write all samples as one PNG')
    .option('--npz <file>', "write an .npz for ADM's evaluator")
    .option('--classes <list>', 'labels or class names, comma-separated, used in turn (default: random)', parseClasses)
    .option('--weak <folder>', 'guide by this weaker generator instead of the prediction without a class')
  addRawOption(command)
  addComputeOptions(command)
  addSettings(command, sampleSchema)
  addExamples(command, {
    'mactok sample runs/sit --tokenizer runs/tiny --grid samples.png --count 64 --guidance.scale 2':
      'a grid of samples of all classes',
    'mactok sample runs/sit --tokenizer runs/tiny --out samples/ --classes cat,dog --count 20': 'cats and dogs in turn',
    'mactok sample runs/xl --tokenizer runs/b128 --npz samples.npz --count 50000 --sampler euler-maruyama --steps 250':
      "for ADM's evaluator",
    'srun --ntasks 8 mactok sample runs/xl --tokenizer runs/b128 --npz samples.npz --count 50000':
      'the same samples, drawn by eight processes; a killed one is run again'
  })
  command.action(run)
}

async function run(folder: string, options: Options & Record<string, unknown>): Promise<void> {
  const { out, grid, npz, classes, raw = false, json = false } = options
  if (!out && !grid && !npz) throw new UsageError('Expected --out <folder>, --grid <file> or --npz <file>')
  const settings = givenSettings(options, sampleSchema)
  const ranks = ranksOfJob()
  if (grid && ranks.worldSize > 1)
    throw new UsageError('Expected no --grid among several ranks: draw it by a process alone')
  // Before anything that takes time, because another rank may be done by then.
  const before = npz === undefined ? null : await fileStamp(npz)
  const device = await prepareRank(options, ranks)
  const { Generator } = await import('../generator/generator.js')
  const { Tokenizer } = await import('../tokenizer/tokenizer.js')
  const { sampleImages } = await import('../pipeline/sample.js')
  using generator = await Generator.load(folder, { device, raw })
  using tokenizer = await Tokenizer.load(options.tokenizer, { device })
  using weak = options.weak === undefined ? undefined : await Generator.load(options.weak, { device })
  const line = new ProgressLine({ unit: 'samples', quiet: json })
  const result = await usage(() =>
    sampleImages(generator, tokenizer, {
      ...settings,
      folder: out,
      grid,
      npz,
      classes,
      weak,
      ranks,
      before,
      signal: interruption(),
      onProgress: line.counting()
    })
  ).finally(() => line.stop())
  if (json) writeJson(result)
  if (result.interrupted) throw new Interrupted(`Interrupted after ${result.images} samples`)
  if (json) return
  const rest = result.missing
    ? `; ${result.missing} batches to come from other ranks, the last of which writes ${npz}`
    : ''
  const places = [out, grid, npz].filter(Boolean).join(', ')
  process.stdout.write(`${rankPrefix(ranks)}${places}: ${result.images} samples${rest}\n`)
}
