/** The manifest of a latent folder, and the plan that determines its shards. */

import { createHash } from 'node:crypto'
import path from 'node:path'
import { flag, isRecord, oneOf, positive, text } from '../checks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { seal, unseal } from '../files/checksums.js'
import { parseJson, readText } from '../files/read.js'
import type { ChannelSums } from './statistics.js'

export const manifestFile = 'manifest.json'
export const statisticsFile = 'latents_stats.json'
export const torchStatisticsFile = 'latents_stats.pt'

export const latentDtypes = ['float32', 'float16', 'bfloat16'] as const
export type LatentDtype = (typeof latentDtypes)[number]

/** What to encode, and how: equal plans give equal shards, byte for byte. */
export interface LatentPlan {
  /** Unique names of all samples in the listing's order: shard k holds those at [k·shardSize, (k+1)·shardSize). */
  names: readonly string[]
  /** Class of each sample; all 0 for a folder without classes. */
  labels: ArrayLike<number>
  /** Class names by label. */
  classes?: readonly string[] | undefined
  /** [L, Z] */
  shape: readonly [tokens: number, channels: number]
  dtype: LatentDtype
  /** Store log-variances beside means. */
  moments: boolean
  /** Store the latents of the mirrored images as well, as LightningDiT expects. Default true. */
  flips?: boolean | undefined
  shardSize: number
  /** Identifies the encoder: a name that changes when its weights do. */
  tokenizer: string
  /** Whatever else the values depend on: preprocessing, precision, seed of sampling. */
  settings?: Readonly<Record<string, string | number | boolean | null>> | undefined
}

export interface SkippedSample {
  name: string
  reason: string
}

/** One finished shard. */
export interface ShardRecord {
  file: string
  /** It covers the samples [first, end) of the listing; `count` excludes the skipped ones. */
  first: number
  end: number
  count: number
  bytes: number
  sha256: string
  /** Names of the rows, in order. */
  names: string[]
  /** SHA-256 of the images' files, when the encoder provided them. */
  hashes?: string[]
  /** SHA-256 of the state of all its images' files when they were encoded: sizes and times, if those are known. */
  inputs?: string
  skipped: SkippedSample[]
  sums: ChannelSums
}

/** `manifest.json` */
export interface Manifest {
  format_version: 1
  /** Whether all shards and the statistics are written. */
  complete: boolean
  /** Samples in all shards. */
  count: number
  plan: PlanSummary
  classes: string[] | null
  shards: ShardRecord[]
}

/** The plan, with its listing as a checksum. */
export interface PlanSummary {
  samples: number
  /** SHA-256 of names and labels. */
  listing: string
  shape: number[]
  dtype: LatentDtype
  moments: boolean
  flips: boolean
  shard_size: number
  tokenizer: string
  settings: Record<string, string | number | boolean | null>
}

/** @throws {TypeError | RangeError} naming the field */
export function validatePlan(plan: LatentPlan): void {
  if (!isRecord(plan)) throw invalidParameter('plan', 'an object', plan)
  const { names, labels, shape, dtype, shardSize, tokenizer, moments } = plan as LatentPlan
  if (!Array.isArray(names) || names.length === 0) throw invalidParameter('names', 'at least one sample name', names)
  for (const [i, name] of names.entries()) text(`names[${i}]`, 'a name', name)
  if (!Number.isSafeInteger(Object(labels).length)) throw invalidParameter('labels', 'an array of integers', labels)
  flag('moments', moments)
  if (labels.length !== names.length) {
    throw outOfRange('labels', `${names.length} labels, as many as names`, labels.length)
  }
  if (new Set(names).size !== names.length) throw outOfRange('names', 'unique names', names)
  if (!Array.from(labels).every((label) => Number.isSafeInteger(label) && label >= 0)) {
    throw outOfRange('labels', 'integers of at least 0', labels)
  }
  if (!Array.isArray(shape)) throw invalidParameter('shape', '[L, Z]', shape)
  if (shape.length !== 2 || !shape.every((size) => Number.isSafeInteger(size) && size > 0)) {
    throw outOfRange('shape', '[L, Z], positive integers', shape)
  }
  oneOf('dtype', latentDtypes, dtype)
  positive('shardSize', shardSize)
  text('tokenizer', 'a name', tokenizer)
}

export function summarise(plan: LatentPlan): PlanSummary {
  const hash = createHash('sha256')
  plan.names.forEach((name, i) => {
    hash.update(`${name}\0${plan.labels[i]}\n`)
  })
  return {
    samples: plan.names.length,
    listing: hash.digest('hex'),
    shape: [...plan.shape],
    dtype: plan.dtype,
    moments: plan.moments,
    flips: plan.flips ?? true,
    shard_size: plan.shardSize,
    tokenizer: plan.tokenizer,
    settings: Object.fromEntries(Object.entries(plan.settings ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

/** Refuses to resume in a folder of other shards, naming the differences. */
export function requireSamePlan(folder: string, earlier: PlanSummary, now: PlanSummary, plan?: LatentPlan): void {
  const differs = differences(earlier, now)
  if (differs.length === 0) return
  const problem = `holds latents encoded differently: ${differs.join(', ')}`
  const isExtended = plan && differences(earlier, summariseFirst(plan, earlier.samples)).length === 0
  const remedy = isExtended
    ? `Its ${earlier.samples} images are the first of these: append the others with append (--append)`
    : 'Choose another folder, or remove this one first'
  throw new MactokError('ERR_FORMAT', `${folder} ${problem}. ${remedy}`)
}

/** The summary of a plan for the first samples only. */
const summariseFirst = (plan: LatentPlan, samples: number): PlanSummary =>
  summarise({ ...plan, names: plan.names.slice(0, samples), labels: Array.from(plan.labels).slice(0, samples) })

/**
 * Refuses to append to a folder unless its images are the first of the plan's listing and all else is equal.
 * @throws {MactokError} `ERR_FORMAT` saying what differs
 */
export function requireExtended(folder: string, { plan: earlier, classes }: Manifest, plan: LatentPlan): void {
  const fail = (problem: string) => new MactokError('ERR_FORMAT', `Cannot append to ${folder}: ${problem}`)
  const differs = differences(earlier, summariseFirst(plan, earlier.samples))
  const others = differs.filter((difference) => !/^(samples|listing) /.test(difference))
  if (others.length > 0) throw fail(`its latents were encoded differently: ${others.join(', ')}`)
  if (differs.length > 0) {
    throw fail(
      `the ${earlier.samples} images that it holds are not the first of the ${plan.names.length} listed now, with the same names and labels; ` +
        'new images and classes must sort after all others, and none may be removed. Encode to another folder'
    )
  }
  const renamed = (classes ?? []).find((name, label) => plan.classes?.[label] !== name)
  if (renamed !== undefined) throw fail(`its class ${renamed} is not among the classes now, or has another label`)
  if (earlier.settings.sample && earlier.flips) {
    throw fail('the noise of drawn mirrored latents depends on the number of all images. Encode to another folder')
  }
}

/** The fields in which two plans differ, in words. */
function differences(earlier: PlanSummary, now: PlanSummary): string[] {
  const flat = ({ settings, ...plan }: PlanSummary): Record<string, unknown> => ({ ...plan, ...settings })
  const [before, after] = [flat(earlier), flat(now)]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => `${key} ${JSON.stringify(before[key])} instead of ${JSON.stringify(after[key])}`)
}

/**
 * Reads a folder's manifest; undefined when there is none.
 * @throws {MactokError} `ERR_FORMAT` for other files, and for a manifest that is not what was written
 */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const file = path.join(folder, manifestFile)
  const text = await readText(file)
  if (text === null) return undefined
  const content = parseManifest(text, file)
  if (!content) throw new MactokError('ERR_FORMAT', `${file} is not a manifest of format version 1`)
  return unseal(file, content).content as unknown as Manifest
}

function parseManifest(text: string, file: string): (Manifest & Record<string, unknown>) | null {
  try {
    const manifest = parseJson(text, file) as Manifest & Record<string, unknown>
    const isManifest = manifest.format_version === 1 && Array.isArray(manifest.shards) && isRecord(manifest.plan)
    return isManifest ? manifest : null
  } catch {
    return null
  }
}

/**
 * Checks what reading latents needs of a manifest; writing encodes what is damaged again.
 * @throws {MactokError} `ERR_FORMAT`
 */
export function requireReadable(folder: string, { count, shards, classes }: Manifest): void {
  const isText = (value: unknown) => typeof value === 'string'
  const isFileName = (value: unknown) => typeof value === 'string' && /^[^\0/\\]+$/.test(value)
  const isSound = {
    count: Number.isSafeInteger(count),
    'records of shards': shards.every((each) => isRecord(each) && isFileName(each.file) && Array.isArray(each.names)),
    classes: classes === null || classes === undefined || (Array.isArray(classes) && classes.every(isText))
  }
  const damaged = Object.entries(isSound).flatMap(([what, sound]) => (sound ? [] : what))
  if (damaged.length === 0) return
  const file = path.join(folder, manifestFile)
  throw new MactokError('ERR_FORMAT', `${file} has damaged ${damaged.join(' and ')}: encode again`)
}

/** Writes a folder's manifest, with a checksum of its own. */
export const writeManifest = (folder: string, manifest: Manifest): Promise<void> =>
  writeJson(path.join(folder, manifestFile), seal(manifestFile, manifest, {}))

/** The file name of a shard, as LightningDiT names it. */
export const shardName = (index: number): string => `latents_rank00_shard${String(index).padStart(3, '0')}.safetensors`

/** Whether a manifest's record is of a shard of this plan, in the shard's own file. */
export const isOfPlan = (record: ShardRecord, { names, shardSize }: LatentPlan): boolean => {
  if (!isRecord(record) || !Array.isArray(record.names) || !Array.isArray(record.skipped)) return false
  const { file, first, end } = record
  return (
    Number.isSafeInteger(first / shardSize) &&
    first >= 0 &&
    end === Math.min(first + shardSize, names.length) &&
    first < end &&
    file === shardName(first / shardSize) &&
    listsSamples(record, names.slice(first, end))
  )
}

/** Whether a shard's rows and skipped samples are these, in their order. */
function listsSamples({ count, names, skipped }: ShardRecord, samples: readonly string[]): boolean {
  const left = new Set(skipped.map((sample) => sample?.name))
  const rows = samples.filter((name) => !left.has(name))
  return count === rows.length && names.length === count && rows.every((name, i) => name === names[i])
}
