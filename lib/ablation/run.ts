/** Runs the rows of an ablation, one after another, and measures what came out. */

import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { mergeConfig, parseConfig } from '../config.js'
import { imageSource } from '../data/image-source.js'
import { spread } from '../data/spread.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { meanImagePsnr } from '../evaluation/mean-image.js'
import { writeJson } from '../files/atomic.js'
import { readMetrics } from '../runs/metrics.js'
import { findConflict } from '../runs/record.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { TrainingData } from '../training/tokenizer/data.js'
import type { StepEvent } from '../training/tokenizer/events.js'
import type { TrainingConfigInput } from '../training/tokenizer/schema.js'
import { type TokenizerTraining, trainDecoder, trainTokenizer } from '../training/tokenizer/training.js'
import { checkGeneration, generationCurve } from './generation.js'
import { type Finished, measurements } from './measures.js'
import { type AblationResults, type AblationRow, writeResults } from './report.js'
import { type AblationConfig, type AblationConfigInput, ablationSchema } from './schema.js'
import { type Arm, armsOf } from './tables.js'

export interface AblationOptions {
  /** Runs, table and plots go here; the same folder goes on after an interruption. */
  out: string
  /** Some of the table's rows, by name. Default: all. */
  arms?: readonly string[] | undefined
  device?: string | undefined
  /** Stops between two steps, after a checkpoint. */
  signal?: AbortSignal | undefined
  /** Told of the run that begins, and at its log intervals: steps of the whole ablation done by now, and all of them. */
  onProgress?: (progress: AblationProgress) => void
  onNotice?: (message: string) => void
}

export interface AblationProgress {
  arm: string
  seed: number
  /** This run's, none before its first. */
  step: StepEvent | null
  /** Images whose teacher's features are there, while those are computed for the cache. */
  features: { done: number; total: number } | null
  /** Steps of all runs. */
  done: number
  total: number
}

/** How it ended: with the results so far. */
export interface AblationOutcome extends AblationResults {
  interrupted: boolean
}

/**
 * Trains every row with every seed, measures the finished runs and writes the table with its plots, anew after each run. Finished runs
 * are not repeated; an interrupted one goes on from its checkpoint.
 * @param table - `components`, `mask-ratio`, `masking-target`, `decoder-finetuning` or `collapse`
 * @throws {TypeError | RangeError} unknown names and settings, a folder of another ablation
 */
export async function runAblation(
  table: string,
  input: AblationConfigInput,
  options: AblationOptions
): Promise<AblationOutcome> {
  const { out, arms: names, signal } = options ?? {}
  if (typeof out !== 'string' || out === '') throw invalidParameter('out', 'a folder', out)
  const config = parseConfig(ablationSchema, input)
  const all = armsOf(table)
  for (const name of Object.keys(config.rows)) {
    if (!all.some((arm) => arm.name === name)) {
      throw outOfRange('rows', `names among ${all.map((arm) => arm.name).join(', ')}`, name)
    }
  }
  const arms = armsOf(table, names)
  const trainings = await Promise.all(arms.filter(({ from }) => !from).map((arm) => training(arm, config, out, 0)))
  // Checks settings before anything is computed.
  for (const each of trainings) each.config
  await checkGeneration(config)
  await claim(out, table, config)

  const total = arms.reduce((sum, arm) => sum + stepsOf(arm, config), 0) * config.seeds.length
  let done = 0
  const rows: AblationRow[] = all.map((arm) => ({ arm, runs: [] }))
  const results: AblationResults = { table, config, meanImage: await meanImage(config, out), rows }
  for (const seed of config.seeds) {
    for (const { arm, runs } of rows) {
      const dir = runFolder(out, arm, seed)
      const add = async (values: Record<string, number>) => {
        const metrics = [...readMetrics(dir), ...(await generationCurve(dir))]
        runs.push({ seed, dir: relative(out, dir), values, metrics })
      }
      if (!arms.includes(arm)) {
        const values = await readValues(dir)
        if (values) await add(values)
        continue
      }
      const values = (await readValues(dir)) ?? (await finish(arm, seed, done))
      if (!values) return { ...results, interrupted: true }
      done += stepsOf(arm, config)
      await add(values)
      await writeResults(out, results)
      if (signal?.aborted) return { ...results, interrupted: true }
    }
  }
  return { ...results, interrupted: false }

  /** Trains a run to its end and measures it; null when it was interrupted. */
  async function finish(arm: Arm, seed: number, before: number): Promise<Record<string, number> | null> {
    const dir = runFolder(out, arm, seed)
    const progress = (step: StepEvent | null, features: AblationProgress['features'] = null) =>
      options.onProgress?.({ arm: arm.name, seed, step, features, done: before + (step?.step ?? 0), total })
    progress(null)
    const run = await training(arm, config, out, seed)
    run
      .data(config.data, { heldOut: config.heldOut })
      .on('step', (step) => progress(step))
      .on('features', (features) => progress(null, features))
      .on('notice', ({ message }) => options.onNotice?.(message))
    const steps = stepsOf(arm, config)
    const { interrupted } = await run.run({ dir, steps, resume: true, device: options.device, signal })
    if (interrupted) return null
    try {
      return await measure({ dir, seed, ...options }, run, config)
    } catch (error) {
      if (error instanceof MactokError && error.code === 'ERR_ABORTED') return null
      throw error
    }
  }
}

const runFolder = (out: string, arm: Arm, seed: number) => join(out, 'runs', arm.name, `seed-${seed}`)
const stepsOf = (arm: Arm, { steps, decoderSteps }: AblationConfig) =>
  arm.from ? (decoderSteps ?? Math.ceil(steps / 5)) : steps

/** A row's settings, complete. */
async function training(arm: Arm, config: AblationConfig, out: string, seed: number): Promise<TokenizerTraining> {
  const { preset, settings, steps, probe, rows } = config
  const cache = (settings.teacher as { cache?: string } | undefined)?.cache
  const shared = cache === 'auto' ? { teacher: { cache: join(out, 'teacher') } } : {}
  const own = { seed, evaluation: probe ? { probe: probe.features } : {} }
  const layers = [settings, shared, own, arm.settings(steps), rows[arm.name] ?? {}]
  const merged = layers.reduce<Record<string, unknown>>((base, layer) => mergeConfig(base, layer), {})
  if (!arm.from) return trainTokenizer({ preset, ...merged, steps } as TrainingConfigInput)
  const origin = armsOf('decoder-finetuning').find(({ name }) => name === arm.from) as Arm
  return (await trainDecoder(runFolder(out, origin, seed))).set({
    ...(rows[arm.name] as TrainingConfigInput | undefined),
    steps: stepsOf(arm, config)
  })
}

/** Refuses a folder in which something else was begun. */
async function claim(out: string, table: string, config: AblationConfig): Promise<void> {
  const file = join(out, 'ablation.json')
  const { seeds: _, ...fixed } = config
  const given = { formatVersion: 1, table, ...fixed }
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) return writeJson(file, given)
  // As if `steps` were nested: in a training run it may change, here it may not.
  const difference = findConflict({ ablation: JSON.parse(text) }, { ablation: JSON.parse(JSON.stringify(given)) })
  if (difference) throw outOfRange('out', `a folder of its own, or the settings of the one in ${out}`, difference)
}

const valuesFile = (dir: string) => join(dir, 'measured.json')

async function readValues(dir: string): Promise<Record<string, number> | null> {
  const text = await readFile(valuesFile(dir), 'utf8').catch(() => null)
  return text === null ? null : JSON.parse(text)
}

async function measure(
  { dir, seed, out, device, signal }: AblationOptions & { dir: string; seed: number },
  { config: trained }: TokenizerTraining,
  config: AblationConfig
): Promise<Record<string, number>> {
  const [source, heldOut] = [imageSource(config.data), imageSource(config.heldOut)]
  using tokenizer = await Tokenizer.load(dir, device === undefined ? {} : { device })
  await using data = await TrainingData.open({ config: trained, source, heldOut, onBroken: () => {} })
  const finished: Finished = { dir, seed, out, device, signal, tokenizer, data, source, heldOut, config }
  let values: Record<string, number> = {}
  for (const each of measurements) values = { ...values, ...(await each(finished)) }
  await writeJson(valuesFile(dir), values)
  return values
}

/** On the images that the rows are evaluated on; computed once a folder. */
async function meanImage(config: AblationConfig, out: string): Promise<number> {
  const file = join(out, 'mean-image.json')
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text !== null) return JSON.parse(text).psnr
  const { config: base } = trainTokenizer({ preset: config.preset, ...config.settings } as TrainingConfigInput)
  const request = { config: base, source: imageSource(config.data), heldOut: imageSource(config.heldOut) }
  await using data = await TrainingData.open({ ...request, onBroken: () => {} })
  const psnr = await meanImagePsnr(spread(data.training, 10_000), data.evaluated, base.tokenizer.imageSize)
  await writeJson(file, { psnr })
  return psnr
}
