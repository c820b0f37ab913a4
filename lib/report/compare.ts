/** Compares runs on one page. */

import type { z } from 'zod'
import { callbacks, object, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { invalidParameter, MactokError } from '../errors.js'
import type { LatentSummary } from '../evaluation/latent-space.js'
import { withoutSecrets } from '../files/address.js'
import { writeText } from '../files/atomic.js'
import { findGenerator } from '../generator/folder.js'
import { checkDevice } from '../native/device.js'
import { type Summary, summarise } from '../plot/summary.js'
import { describeGenerator, describeTokenizer } from './compare-models.js'
import { renderComparison } from './compare-page.js'
import { compareSchema } from './compare-schema.js'
import type { ComparedRun, Comparison, Outcome } from './comparison.js'
import { clockOf, compareCurves } from './curves.js'
import { type Entry, type OpenedRun, openEntries } from './entries.js'
import { evaluationsInTraining } from './evaluations.js'
import { differingSettings } from './settings.js'

export interface CompareOptions extends z.input<typeof compareSchema> {
  /** Default `comparison.html`. */
  out?: string | undefined
  /** Images to reconstruct. Default: those of the first run, held-out ones if it has such; null: none. */
  data?: string | null | undefined
  /** Decodes generators' samples. Default: the tokenizer that each was trained with. */
  tokenizer?: string | undefined
  device?: string | undefined
  /** Stops between two runs with ERR_ABORTED. */
  signal?: AbortSignal | undefined
  /** Called when another run's networks are done. */
  onProgress?: (done: number, total: number) => void
}

/**
 * Compares runs of tokenizers or of generators on one self-contained HTML page: settings that differ, rates, curves over steps and time,
 * the same images or samples of each, latents, and metrics by the number of latent units.
 * @param runs - two or more run folders, or folders of ablations or of their arms, whose seeds become means with standard errors
 * @throws {TypeError | RangeError} wrong options, fewer than two runs, runs of both kinds
 * @throws {MactokError} ERR_FORMAT for a folder without a run, or a run without metrics; ERR_ABORTED by the signal
 */
export async function compareRuns(runs: readonly string[], options: CompareOptions = {}): Promise<Comparison> {
  if (!Array.isArray(runs)) throw invalidParameter('runs', 'an array of paths', runs)
  for (const run of runs) pathTo('runs', run)
  object('options', 'an object', options)
  const { out = 'comparison.html', data, tokenizer, device, signal, onProgress, ...given } = options
  pathTo('out', out)
  if (data !== undefined && data !== null) pathTo('data', data)
  if (tokenizer !== undefined) pathTo('tokenizer', tokenizer)
  if (device !== undefined) checkDevice(device)
  callbacks({ signal, onProgress })
  const config = parseConfig(compareSchema, given)
  const { entries, missing } = await openEntries(runs)
  const [{ record }] = (entries[0] as Entry).runs
  const from = data === undefined && record.kind === 'tokenizer' ? (record.data.heldOutFrom ?? record.data.from) : data

  const outcomes: Outcome[] = []
  for (const [
    done,
    {
      name,
      runs: [run]
    }
  ] of entries.entries()) {
    if (signal?.aborted) throw new MactokError('ERR_ABORTED', `Stopped after ${done} of ${entries.length} runs`)
    onProgress?.(done, entries.length)
    const noteMissing = (error: unknown): null => {
      const { code } = error as Partial<MactokError>
      if (!(error instanceof Error) || code === 'ERR_ABORTED') throw error
      missing.push(`${record.kind === 'generator' ? 'samples' : 'images'} of ${name}: ${error.message}`)
      return null
    }
    const settings = { ...config, device, signal }
    const isTokenizer = record.kind === 'tokenizer'
    outcomes.push({
      tokenizer:
        isTokenizer && typeof from === 'string'
          ? await describeTokenizer(run, from, settings).catch(noteMissing)
          : null,
      samples: isTokenizer ? null : await describeGenerator(run, tokenizer, settings).catch(noteMissing)
    })
  }
  onProgress?.(entries.length, entries.length)

  const comparison: Omit<Comparison, 'file' | 'bytes'> = {
    kind: record.kind,
    runs: await Promise.all(entries.map((entry, i) => summariseEntry(entry, outcomes[i]?.tokenizer?.latents))),
    settings: differingSettings(entries.map(({ name, runs: [{ record }] }) => ({ name, record }))),
    curves: compareCurves(entries),
    missing
  }
  const page = await renderComparison(comparison, entries, outcomes, {
    ...config,
    from: from ? withoutSecrets(from) : null
  })
  await writeText(out, page)
  return { file: out, bytes: Buffer.byteLength(page), ...comparison }
}

const median = (values: number[]): number | null =>
  values.length === 0 ? null : (values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number)

async function latentShapeOf({ dir, record }: OpenedRun): Promise<readonly number[] | null> {
  if (record.kind === 'generator') {
    return findGenerator(dir, false).then(
      ({ config }) => config.latentShape,
      () => null
    )
  }
  const { latentTokens, latentChannels } = record.settled.tokenizer
  return [latentTokens, latentChannels]
}

async function summariseEntry({ name, runs }: Entry, latents: LatentSummary | undefined): Promise<ComparedRun> {
  const rates = runs.flatMap(({ lines }) =>
    lines.flatMap((line) => {
      const rate = line.imagesPerSecond ?? line.latentsPerSecond
      return typeof rate === 'number' ? [rate] : []
    })
  )
  // Numbers of a generator on this run's latents have steps of their own.
  const steps = runs.map(({ lines }) =>
    lines.reduce((newest, line) => ('generation' in line ? newest : Math.max(newest, line.step)), 0)
  )
  const seconds = runs.map((run, i) => clockOf(run)(steps[i] as number))
  return {
    name,
    dirs: runs.map(({ dir }) => dir),
    step: Math.max(...steps),
    seconds: summarise(seconds).mean,
    samplesPerSecond: median(rates),
    latentShape: await latentShapeOf(runs[0]),
    evaluations: summariseEvaluations(runs),
    latents: latents
      ? {
          images: latents.images,
          activeUnits: latents.activeUnits,
          ...(latents.klPerToken && { klPerToken: latents.klPerToken })
        }
      : null
  }
}

/** The numbers that all seeds have; of their trainings, those at the newest step that all of them evaluated. */
function summariseEvaluations(runs: Entry['runs']): ComparedRun['evaluations'] {
  const bySeed = runs.map(({ evaluations, lines }) => ({ evaluations, training: evaluationsInTraining(lines) }))
  const shared = bySeed[0]?.training.findLast(({ step }) =>
    bySeed.every(({ training }) => training.some((one) => one.step === step))
  )
  const result: ComparedRun['evaluations'] = {}
  for (const { name, step, values } of runs[0].evaluations) {
    const isTraining = step !== undefined
    const tables = bySeed.map(({ evaluations, training }) =>
      isTraining
        ? training.find((one) => one.step === shared?.step)?.values
        : evaluations.find((one) => one.name === name)?.values
    )
    const summaries = Object.keys(values).flatMap((metric): [string, Summary][] => {
      const numbers = tables.flatMap((numbers) => numbers?.[metric] ?? [])
      return numbers.length === runs.length && numbers.every(Number.isFinite) ? [[metric, summarise(numbers)]] : []
    })
    if (summaries.length > 0) result[name] = Object.fromEntries(summaries)
  }
  return result
}
