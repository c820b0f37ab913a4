/** Trains the rows of an ablation, one after another, and measures them. */

import { join, relative } from 'node:path'
import { callbacks, pathTo } from '../checks.js'
import { checkOptions, mergeConfig, nestSetting, parseConfig } from '../config.js'
import { type Ignored, type ImageSet, type ImageSource, relabelledClass } from '../data/image-set.js'
import { imageSource, reportIgnored } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { MactokError, outOfRange } from '../errors.js'
import { imageKey } from '../evaluation/image-stream.js'
import { meanImagePsnr } from '../evaluation/mean-image.js'
import { writeJson } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { parseJson, readJson, readText } from '../files/read.js'
import { readMetrics } from '../runs/metrics.js'
import { findConflict } from '../runs/record.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { Resources } from '../training/resources.js'
import { TrainingData } from '../training/tokenizer/data.js'
import type { StepEvent } from '../training/tokenizer/events.js'
import type { TrainingConfigInput } from '../training/tokenizer/schema.js'
import { type TokenizerTraining, trainDecoder, trainTokenizer } from '../training/tokenizer/training.js'
import { checkGeneration, readGenerationCurve } from './generation.js'
import { measurements } from './measures.js'
import { type AblationResults, type AblationRow, writeResults } from './report.js'
import { type AblationConfig, type AblationConfigInput, ablationSchema, withoutSecretsOf } from './schema.js'
import { type Arm, armsOf, sweepArms } from './tables.js'

export interface AblationOptions {
  /** For runs, table and plots; a call with the same folder resumes an interrupted one. */
  out: string
  /** Names of the table's rows to run. Default: all. */
  arms?: readonly string[] | undefined
  device?: string | undefined
  /** Stops between two steps, after a checkpoint. */
  signal?: AbortSignal | undefined
  /** Called when a run begins and at its log intervals. */
  onProgress?: (progress: AblationProgress) => void
  onNotice?: (message: string) => void
  /** Called once for each image that is skipped, however many runs meet it. */
  onBroken?: (broken: Broken) => void
  /** Called for the files that are not images, whenever the images are listed. */
  onIgnored?: (ignored: Ignored) => void
}

const optionNames = {
  out: true,
  arms: true,
  device: true,
  signal: true,
  onProgress: true,
  onNotice: true,
  onBroken: true,
  onIgnored: true
} as const

/** The images of all runs. */
interface Inputs {
  source: ImageSource
  heldOut: ImageSource
  onBroken: (broken: Broken) => void
}

export interface AblationProgress {
  arm: string
  seed: number
  /** The latest step of this run; null before the first. */
  step: StepEvent | null
  /** Images whose teacher features are computed, while the cache is filled. */
  features: { done: number; total: number } | null
  /** Steps done and steps in total, over all runs. */
  done: number
  total: number
}

/** The results, or those so far when it was interrupted. */
export interface AblationOutcome extends AblationResults {
  interrupted: boolean
}

/**
 * Trains every row with every seed, measures the finished runs and writes the table with its plots again after each run. Finished runs
 * are not repeated; an interrupted one resumes from its checkpoint.
 * @param table - `components`, `mask-ratio`, `masking-target`, `decoder-finetuning` or `collapse`
 * @throws {TypeError | RangeError} unknown names or settings, a folder of another ablation
 */
export async function runAblation(
  table: string,
  input: AblationConfigInput,
  options: AblationOptions
): Promise<AblationOutcome> {
  const { out, arms: names, signal } = options ?? {}
  pathTo('out', out)
  checkOptions(options, optionNames)
  callbacks(options)
  const config = parseConfig(ablationSchema, input)
  const all = armsOf(table)
  for (const name of Object.keys(config.rows)) {
    if (!all.some((arm) => arm.name === name)) {
      throw outOfRange('rows', `names among ${all.map((arm) => arm.name).join(', ')}`, name)
    }
  }
  const arms = withSweep(armsOf(table, names), config)
  const trainings = await Promise.all(arms.filter(({ from }) => !from).map((arm) => configure(arm, config, out, 0)))
  // Settings are checked before anything is computed.
  for (const each of trainings) each.config
  await checkGeneration(config)
  const inputs = openInputs(config, options)
  await checkLabels(config, inputs)
  await claimFolder(out, table, config)

  const total = arms.reduce((sum, arm) => sum + stepsOf(arm, config), 0) * config.seeds.length
  let done = 0
  const rows: AblationRow[] = withSweep(all, config).map((arm) => ({ arm, runs: [] }))
  const results: AblationResults = { table, config, meanImage: await readMeanImage(config, out, inputs), rows }
  for (const seed of config.seeds) {
    for (const { arm, runs } of rows) {
      const dir = runFolder(out, arm, seed)
      const add = async (values: Record<string, number>) => {
        const metrics = [...readMetrics(dir), ...(await readGenerationCurve(dir))]
        runs.push({ seed, dir: relative(out, dir), values, metrics })
      }
      if (!arms.some(({ name }) => name === arm.name)) {
        const values = await readValues(dir)
        if (values) await add(values)
        continue
      }
      const values = (await readValues(dir)) ?? (await trainAndMeasure(arm, seed, done))
      if (!values) return { ...results, interrupted: true }
      done += stepsOf(arm, config)
      await add(values)
      await writeResults(out, results)
      if (signal?.aborted) return { ...results, interrupted: true }
    }
  }
  return { ...results, interrupted: false }

  /** Trains a run to its end and measures it; null when it was interrupted. */
  async function trainAndMeasure(arm: Arm, seed: number, before: number): Promise<Record<string, number> | null> {
    const dir = runFolder(out, arm, seed)
    const progress = (step: StepEvent | null, features: AblationProgress['features'] = null) =>
      options.onProgress?.({ arm: arm.name, seed, step, features, done: before + (step?.step ?? 0), total })
    progress(null)
    const run = await configure(arm, config, out, seed)
    run
      .data(inputs.source, { heldOut: inputs.heldOut })
      .on('broken', inputs.onBroken)
      .on('step', (step) => progress(step))
      .on('features', (features) => progress(null, features))
      .on('notice', ({ message }) => options.onNotice?.(message))
    const steps = stepsOf(arm, config)
    const { interrupted } = await run.run({ dir, steps, resume: true, device: options.device, signal })
    if (interrupted) return null
    try {
      return await measure({ dir, seed, ...options }, run, config, inputs)
    } catch (error) {
      if (error instanceof MactokError && error.code === 'ERR_ABORTED') return null
      throw error
    }
  }
}

function openInputs({ data, heldOut }: AblationConfig, { onBroken, onIgnored = () => {} }: AblationOptions): Inputs {
  const skipped = new Set<string>()
  return {
    source: reportIgnored(imageSource(data), onIgnored),
    heldOut: reportIgnored(imageSource(heldOut), onIgnored),
    onBroken(broken) {
      const key = `${broken.name}\0${broken.reason}`
      if (!skipped.has(key)) onBroken?.(broken)
      skipped.add(key)
    }
  }
}

/** Checks in advance what the probe, and the encoding for a generator, would refuse after the first run. */
async function checkLabels({ probe, generation }: AblationConfig, { source, heldOut }: Inputs): Promise<void> {
  await using opened = new Resources()
  const open = async (images: ImageSource) => {
    const set = await images.open()
    opened.defer(() => set.close())
    return set
  }
  const sets = { source: await open(source), heldOut: await open(heldOut) }
  const [training, others] = [labelsOf(sets.source), labelsOf(sets.heldOut)]
  if (probe) {
    const relabelled = relabelledClass(sets.source, sets.heldOut)
    if (relabelled) throw new RangeError(`Expected the same labels in data and heldOut, but ${relabelled}`)
    for (const [name, labels] of Object.entries({ data: training, heldOut: others })) {
      if (labels.has(-1)) throw outOfRange(name, 'images with classes (or probe: null)', 'images without a class')
    }
    const classes = new Set([...training, ...others]).size
    if (classes < 2) throw outOfRange('data', 'images of two or more classes (or probe: null)', `${classes} class`)
  }
  if (generation && training.has(-1) && training.size > 1) {
    throw outOfRange('data', 'classes for all images or none', 'images with and without')
  }
}

const labelsOf = (set: ImageSet): Set<number> =>
  new Set(Array.from({ length: set.size }, (_, index) => set.sample(index).label))

const withSweep = (arms: Arm[], { sweep }: AblationConfig): Arm[] => (sweep ? sweepArms(arms, sweep) : arms)
const runFolder = (out: string, { name }: Pick<Arm, 'name'>, seed: number) => join(out, 'runs', name, `seed-${seed}`)
const stepsOf = (arm: Arm, { steps, decoderSteps }: AblationConfig) =>
  arm.from ? (decoderSteps ?? Math.ceil(steps / 5)) : steps

/** The training of a row's run. */
async function configure(arm: Arm, config: AblationConfig, out: string, seed: number): Promise<TokenizerTraining> {
  const { preset, settings, steps, probe, rows } = config
  const cache = (settings.teacher as { cache?: string } | undefined)?.cache
  const shared = cache === 'auto' ? { teacher: { cache: join(out, 'teacher') } } : {}
  const own = { seed, evaluation: probe ? { probe: probe.features } : {} }
  const row = rows[arm.swept?.name ?? arm.name] ?? {}
  const swept = config.sweep && arm.swept ? nestSetting(config.sweep.setting, arm.swept.value) : {}
  const layers = [settings, shared, own, arm.settings(steps), row, swept]
  const merged = layers.reduce<Record<string, unknown>>((base, layer) => mergeConfig(base, layer), {})
  if (!arm.from) return trainTokenizer({ preset, ...merged, steps } as TrainingConfigInput)
  return (await trainDecoder(runFolder(out, { name: arm.from }, seed))).set({
    ...(row as TrainingConfigInput),
    steps: stepsOf(arm, config)
  })
}

/** Marks the folder as this ablation's; refuses one of another ablation. */
async function claimFolder(out: string, table: string, config: AblationConfig): Promise<void> {
  const file = join(out, 'ablation.json')
  const { seeds: _, sweep, ...fixed } = config
  // Seeds and values may be added later.
  const given = { formatVersion: 1, table, ...withoutSecretsOf(fixed), ...(sweep && { sweep: sweep.setting }) }
  const text = await readText(file)
  if (text === null) {
    await makeFolder(out)
    return writeJson(file, given)
  }
  // Nested, because `findConflict` lets a run's top-level `steps` change; an ablation's may not.
  const difference = findConflict({ ablation: parseJson(text, file) }, { ablation: JSON.parse(JSON.stringify(given)) })
  if (difference) throw outOfRange('out', `a folder of its own, or the settings of the one in ${out}`, difference)
}

const valuesFile = (dir: string) => join(dir, 'measured.json')

async function readValues(dir: string): Promise<Record<string, number> | null> {
  const text = await readText(valuesFile(dir))
  return text === null ? null : (parseJson(text, valuesFile(dir)) as Record<string, number>)
}

async function measure(
  { dir, seed, out, device, signal }: AblationOptions & { dir: string; seed: number },
  { config: trained }: TokenizerTraining,
  config: AblationConfig,
  inputs: Inputs
): Promise<Record<string, number>> {
  using tokenizer = await Tokenizer.load(dir, { device })
  await using data = await TrainingData.open({ config: trained, ...inputs })
  const finished = { dir, seed, out, device, signal, tokenizer, data, ...inputs, config }
  const values: Record<string, number> = {}
  for (const measurement of measurements) Object.assign(values, await measurement(finished))
  await writeJson(valuesFile(dir), values)
  return values
}

/** PSNR of the mean image on the images that the rows are evaluated on, in dB; computed once for the same images. */
async function readMeanImage(config: AblationConfig, out: string, inputs: Inputs): Promise<number> {
  const file = join(out, 'mean-image.json')
  const images = [await imageKey(config.data), await imageKey(config.heldOut)].join(' ')
  const saved = (await readJson(file)) as { psnr?: number; images?: string }
  if (saved.psnr !== undefined && saved.images === images) return saved.psnr
  const { config: base } = trainTokenizer({ preset: config.preset, ...config.settings } as TrainingConfigInput)
  await using data = await TrainingData.open({ config: base, ...inputs })
  const options = { size: base.tokenizer.imageSize, onBroken: inputs.onBroken }
  const psnr = await meanImagePsnr(spread(data.training, 10_000), data.evaluated, options)
  await writeJson(file, { psnr, images })
  return psnr
}
