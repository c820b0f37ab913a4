import { callbacks, flag, instance, natural, oneOf, pathTo, positive } from '../checks.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet, ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import {
  type LatentDtype,
  type LatentPlan,
  type LatentWriter,
  openLatentWriter,
  type ShardRange
} from '../latents/index.js'
import { latentDtypes } from '../latents/manifest.js'
import type { Precision } from '../native/addon.js'
import { checkPrecision } from '../tensor/images.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'

export interface EncodeImagesOptions {
  /** Of the stored latents. Default `float32`. */
  dtype?: LatentDtype
  /** Store posterior means and log-variances, so that training can draw new samples. Default false. */
  moments?: boolean
  /** Store a sample of the posterior instead of its mean; the noise of image i depends on (seed, i). Default false. */
  sample?: boolean
  /** Seed of `sample`. Default 0. */
  seed?: number
  /** Encode the mirrored images as well, as LightningDiT expects. Default true. */
  flip?: boolean
  /** Images per shard. Default 10,000. */
  shardSize?: number
  /** Images per pass. Default 64. */
  batch?: number
  /** Default `fp32`. */
  precision?: Precision
  /** `adm` (default): ADM's exact centre crop; `fast`: shrinks while decoding. */
  preprocess?: 'adm' | 'fast'
  /** Fail at an unreadable image instead of skipping it. Default false. */
  strict?: boolean
  /** Called once for each unreadable image. */
  onBroken?: (broken: Broken) => void
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches. Finished shards stay, and the same call resumes after them. */
  signal?: AbortSignal
}

export interface EncodedImages {
  folder: string
  /** Encoded images, including those of earlier calls. */
  images: number
  shards: number
  /** Unreadable images. */
  skipped: number
  interrupted: boolean
}

const defaults = {
  dtype: 'float32',
  moments: false,
  sample: false,
  seed: 0,
  flip: true,
  shardSize: 10_000,
  batch: 64,
  precision: 'fp32',
  preprocess: 'adm',
  strict: false
} as const satisfies EncodeImagesOptions

type Settings = Required<Pick<EncodeImagesOptions, keyof typeof defaults>> & EncodeImagesOptions

/**
 * Encodes images (centre crops, never masked) into a folder of latent shards in the listing's order, resuming where an
 * earlier call with the same settings stopped.
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of other settings
 */
export async function encodeImages(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  folder: string,
  options: EncodeImagesOptions = {}
): Promise<EncodedImages> {
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  pathTo('folder', folder)
  const settings = completeSettings(options)
  const set = await asSource('source', source).open()
  try {
    const writer = await openLatentWriter(folder, await makePlan(tokenizer, set, settings))
    const interrupted = !(await writeShards(tokenizer, set, writer, settings))
    const shards = interrupted ? writer.finishedShards() : (await writer.finish()).manifest.shards
    const total = (value: (shard: (typeof shards)[number]) => number) =>
      shards.reduce((sum, shard) => sum + value(shard), 0)
    const skipped = total((shard) => shard.skipped.length)
    return { folder, images: total(({ count }) => count), shards: shards.length, skipped, interrupted }
  } finally {
    await set.close()
  }
}

function completeSettings(options: EncodeImagesOptions): Settings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const settings: Settings = { ...defaults, ...given }
  oneOf('dtype', latentDtypes, settings.dtype)
  oneOf('preprocess', ['adm', 'fast'], settings.preprocess)
  for (const name of ['moments', 'sample', 'flip', 'strict'] as const) flag(name, settings[name])
  for (const name of ['shardSize', 'batch'] as const) positive(name, settings[name])
  natural('seed', settings.seed)
  checkPrecision(settings.precision)
  callbacks(options)
  return settings
}

async function makePlan(tokenizer: Tokenizer, set: ImageSet, settings: Settings): Promise<LatentPlan> {
  const { dtype, moments, flip: flips, shardSize, precision, preprocess, sample, seed } = settings
  const samples = Array.from({ length: set.size }, (_, index) => set.sample(index))
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
    settings: { image_size: imageSize, precision, preprocess, sample, seed: sample ? seed : null }
  }
}

/** Writes the missing shards; false when interrupted. */
async function writeShards(
  tokenizer: Tokenizer,
  set: ImageSet,
  writer: LatentWriter,
  settings: Settings
): Promise<boolean> {
  const { signal, onProgress } = settings
  const missing = writer.missingShards()
  let done = set.size - missing.reduce((sum, { first, end }) => sum + end - first, 0)
  onProgress?.(done, set.size)
  for (const range of missing) {
    const shard = writer.startShard(range)
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
      onProgress?.(done + next - range.first, set.size)
    }
    skipBefore(range.end, new Set())
    await shard.commit()
    done += range.end - range.first
    onProgress?.(done, set.size)
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
  const { batch, preprocess, flip, strict, onBroken } = settings
  return evaluationBatches(set, {
    size: tokenizer.config.imageSize,
    batch,
    preprocess,
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
