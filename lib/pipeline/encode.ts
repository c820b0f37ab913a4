import type { z } from 'zod'
import { callbacks, instance, integerWithin, object, pathTo, positive } from '../checks.js'
import { parseConfig } from '../config.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet, ImageSource, Sample } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { hashStamps } from '../data/stamps.js'
import type { Ranks } from '../distributed/ranks.js'
import { MactokError, outOfRange } from '../errors.js'
import {
  type LatentPlan,
  LatentWriter,
  openLatentWriter,
  type ShardProblem,
  type ShardRange,
  type ShardRecord
} from '../latents/index.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { type EncodeSettings, encodeSchema } from './encode-schema.js'
import { checkInputs } from './inputs.js'

export interface EncodeImagesOptions extends z.input<typeof encodeSchema> {
  onBroken?: (broken: Broken) => void
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches. Finished shards stay, and the same call resumes after them. */
  signal?: AbortSignal
  /**
   * Which of the processes that encode into the folder together this one is, as the environment says for the command. They share the
   * folder and nothing else; the files do not depend on their number. Default: one alone.
   */
  ranks?: Ranks
}

export interface EncodedImages {
  folder: string
  /** Encoded images, including those of earlier calls; those of this rank alone while shards of others are missing. */
  images: number
  shards: number
  /** Unreadable images. */
  skipped: number
  interrupted: boolean
  /** Shards that other ranks have not finished yet: the last one completes the folder. */
  missing: number
}

type Settings = EncodeSettings & {
  [name in 'onBroken' | 'onProgress' | 'signal']: EncodeImagesOptions[name] | undefined
}

/** Options without listeners, with all defaults. */
function completeSettings(options: EncodeImagesOptions): { settings: Settings; ranks: Ranks | undefined } {
  object('options', 'an object', options)
  const { signal, onBroken, onProgress, ranks, ...given } = options
  const listeners = { signal, onBroken, onProgress }
  callbacks(listeners)
  const settings = { ...parseConfig(encodeSchema, given), ...listeners }
  if (settings.sample && settings.moments) {
    throw outOfRange('sample', 'false with moments, which store the means that readers sample around', true)
  }
  if (ranks) checkRanks(ranks)
  return { settings, ranks }
}

function checkRanks({ rank, worldSize }: Ranks): void {
  positive('worldSize', worldSize)
  integerWithin('rank', 0, worldSize - 1, rank)
}

/**
 * Encodes images (centre crops, never masked) into a folder of latent shards in the listing's order, resuming where an
 * earlier call with the same settings stopped, alone or among several ranks. Shards whose images changed since are written again.
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of other settings
 */
export async function encodeImages(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  folder: string,
  options: EncodeImagesOptions = {}
): Promise<EncodedImages> {
  return withPlan({ tokenizer, source, folder, options }, async ({ set, plan, settings, ranks }) => {
    const writer = await openLatentWriter(folder, plan, {
      ranks,
      append: settings.append,
      values: settings.repair,
      check: (record) => checkInputs(set, record, { settings: readability(settings), contents: settings.repair })
    })
    const interrupted = !(await writeShards(tokenizer, set, writer, settings))
    const finished = interrupted ? writer.missingShards().length : await writer.merge()
    const shards = typeof finished === 'number' ? writer.finishedShards() : finished.manifest.shards
    const total = (value: (shard: (typeof shards)[number]) => number) =>
      shards.reduce((sum, shard) => sum + value(shard), 0)
    const skipped = total((shard) => shard.skipped.length)
    const images = total(({ count }) => count)
    const missing = typeof finished === 'number' ? finished : 0
    return { folder, images, shards: shards.length, skipped, interrupted, missing }
  })
}

/**
 * Compares a folder of shards with the images that `encodeImages` would encode into it with the same options: checksums,
 * values, statistics, and the contents of all images. Nothing is written; `encodeImages` with `repair` mends what is wrong.
 * @returns what is wrong, by file; among several ranks each checks its own shards, and rank 0 the rest
 * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of other settings or images, or none
 */
export async function verifyEncoding(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  folder: string,
  options: EncodeImagesOptions = {}
): Promise<ShardProblem[]> {
  return withPlan({ tokenizer, source, folder, options }, ({ set, plan, settings, ranks }) => {
    const check = (record: ShardRecord) => checkInputs(set, record, { settings: readability(settings), contents: true })
    return LatentWriter.verify(folder, plan, { ranks, values: true, check })
  })
}

/** What `encodeImages` and `verifyEncoding` are given. */
interface EncodingArguments {
  tokenizer: Tokenizer
  source: ImageSource | string
  folder: string
  options: EncodeImagesOptions
}

/** What an encoding of images is made of. */
interface Encoding extends ReturnType<typeof completeSettings> {
  set: ImageSet
  plan: LatentPlan
}

/** Opens the images and plans their shards for `work`. */
async function withPlan<T>(
  { tokenizer, source, folder, options }: EncodingArguments,
  work: (encoding: Encoding) => Promise<T>
): Promise<T> {
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  pathTo('folder', folder)
  const { settings, ranks } = completeSettings(options)
  requirePosterior(tokenizer, settings)
  const set = await asSource('source', source).open()
  try {
    return await work({ set, plan: await makePlan(tokenizer, set, settings), settings, ranks })
  } finally {
    await set.close()
  }
}

/** Only a tokenizer with a KL bottleneck has a posterior to store, or to draw from. */
function requirePosterior({ config: { bottleneck } }: Tokenizer, settings: Settings): void {
  for (const name of ['moments', 'sample'] as const) {
    if (settings[name] && bottleneck !== 'kl') {
      throw outOfRange(name, `false with this tokenizer, whose bottleneck (${bottleneck}) has no posterior`, true)
    }
  }
}

async function makePlan(tokenizer: Tokenizer, set: ImageSet, settings: Settings): Promise<LatentPlan> {
  const { dtype, moments, flip: flips, shardSize, precision, preprocess, orientation, sample, seed } = settings
  const samples = Array.from({ length: set.size }, (_, index) => set.sample(index))
  requireAllLabelsOrNone(set, samples)
  const { imageSize, latentTokens, latentChannels } = tokenizer.config
  return {
    names: samples.map(({ name }) => name),
    // A folder without classes is one class.
    labels: samples.map(({ label }) => Math.max(0, label)),
    classes: set.classes ?? undefined,
    shape: [latentTokens, latentChannels] as const,
    dtype,
    moments,
    flips,
    shardSize,
    tokenizer: await tokenizer.identity(),
    settings: { image_size: imageSize, precision, preprocess, orientation, sample, seed: sample ? seed : null }
  }
}

/** Shards have a class for every image: an image without one would silently become one of class 0. */
function requireAllLabelsOrNone(set: ImageSet, samples: readonly Sample[]): void {
  const first = samples.find(({ label }) => label < 0)
  const labelled = samples.filter(({ label }) => label >= 0).length
  if (first === undefined || labelled === 0) return
  throw new MactokError(
    'ERR_FORMAT',
    `${first.name} in ${set.name} has no label, but ${labelled} of ${samples.length} images have one: label all or none`
  )
}

/** What decides which images are readable, besides their files. */
const readability = ({ maxPixels }: Settings): string => `${maxPixels}`

/** Writes the missing shards; false when interrupted. */
async function writeShards(
  tokenizer: Tokenizer,
  set: ImageSet,
  writer: LatentWriter,
  settings: Settings
): Promise<boolean> {
  const { signal, onProgress } = settings
  const missing = writer.missingShards()
  const all = writer.imageCount
  let done = all - missing.reduce((sum, { first, end }) => sum + end - first, 0)
  onProgress?.(done, all)
  for (const range of missing) {
    const shard = writer.startShard(range)
    // Before they are read: a change while encoding is then found by the next call.
    const inputs = await hashStamps(set, range, readability(settings))
    const reasons = new Map<string, string>()
    let next = range.first
    const skipBefore = (end: number, encoded: ReadonlySet<number>) => {
      for (; next < end; next++) {
        if (!encoded.has(next)) shard.skip(next, reasons.get(set.sample(next).name) ?? 'unreadable')
      }
    }
    for await (const batch of centreCrops(tokenizer, set, range, settings, reasons)) {
      if (signal?.aborted) return false
      const indices = [...batch.indices]
      skipBefore((indices.at(-1) as number) + 1, new Set(indices))
      const encoded = await encodeBatch(tokenizer, batch, settings, set.size)
      shard.add({ indices, hashes: batch.hashes ?? [], ...encoded })
      onProgress?.(done + next - range.first, all)
    }
    skipBefore(range.end, new Set())
    await shard.commit(inputs)
    done += range.end - range.first
    onProgress?.(done, all)
  }
  return true
}

function centreCrops(
  tokenizer: Tokenizer,
  set: ImageSet,
  range: ShardRange,
  settings: Settings,
  reasons: Map<string, string>
) {
  const { batch, preprocess, orientation, maxPixels, flip, strict, onBroken } = settings
  return evaluationBatches(set, {
    size: tokenizer.config.imageSize,
    batch,
    preprocess,
    orientation,
    maxPixels,
    strict,
    start: range.first,
    end: range.end,
    flip: flip ? 'both' : 'none',
    hash: true,
    onBroken: (broken) => {
      reasons.set(broken.name, broken.reason)
      onBroken?.(broken)
    }
  })
}

/** Encodes a batch, and its mirror images with noise of their own. */
async function encodeBatch(tokenizer: Tokenizer, batch: EvaluationBatch, settings: Settings, total: number) {
  const { imageSize: size } = tokenizer.config
  const encode = async (pixels: Uint8Array, indices: number[]) => {
    using images = tensor(pixels, [indices.length, size, size, 3], { dtype: 'uint8' })
    return encodeOnce(tokenizer, images, indices, settings)
  }
  const indices = [...batch.indices]
  const { latents, logvar } = await encode(batch.images, indices)
  const mirrored = indices.map((index) => total + index)
  const flipped = batch.flipped && (await encode(batch.flipped, mirrored))
  return {
    latents,
    ...(logvar && { logvar }),
    ...(flipped && { latentsFlip: flipped.latents }),
    ...(flipped?.logvar && { logvarFlip: flipped.logvar })
  }
}

async function encodeOnce(
  tokenizer: Tokenizer,
  images: Tensor<'uint8'>,
  indices: number[],
  { moments, sample, seed, precision }: Settings
): Promise<{ latents: Float32Array; logvar?: Float32Array }> {
  if (!moments) {
    using latents = await tokenizer.encode(images, { sample, seed, indices, precision })
    return { latents: await latents.toFloat32() }
  }
  const { mean, logvar } = await tokenizer.posterior(images, { precision })
  using _mean = mean
  using _logvar = logvar
  return { latents: await mean.toFloat32(), ...(logvar && { logvar: await logvar.toFloat32() }) }
}
