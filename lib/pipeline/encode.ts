import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { callbacks, instance, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { type EvaluationBatch, evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet, ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { type LatentPlan, type LatentWriter, openLatentWriter, type ShardRange } from '../latents/index.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { type EncodeSettings, encodeSchema } from './encode-schema.js'

export interface EncodeImagesOptions extends z.input<typeof encodeSchema> {
  onBroken?: (broken: Broken) => void
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches; the finished shards stay, and the same call goes on after them. */
  signal?: AbortSignal
}

export interface EncodedImages {
  folder: string
  /** Images encoded, in this call and earlier ones. */
  images: number
  shards: number
  /** Broken images that were left out. */
  skipped: number
  interrupted: boolean
}

type Settings = EncodeSettings & {
  [name in 'onBroken' | 'onProgress' | 'signal']: EncodeImagesOptions[name] | undefined
}

/**
 * Encodes images (centre crops, never masked) into a folder of latent shards in the listing's order, resuming where an
 * earlier call with the same settings stopped.
 * @throws {TypeError | RangeError} wrong options
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
  const { signal, onBroken, onProgress, ...given } = options
  const listeners = { signal, onBroken, onProgress }
  callbacks(listeners)
  const settings = { ...parseConfig(encodeSchema, given), ...listeners }
  const set = await asSource('source', source).open()
  try {
    const writer = await openLatentWriter(folder, await plan(tokenizer, set, settings))
    const interrupted = !(await writeShards(tokenizer, set, writer, settings))
    const shards = interrupted ? writer.written() : (await writer.finish()).manifest.shards
    const total = (value: (shard: (typeof shards)[number]) => number) =>
      shards.reduce((sum, shard) => sum + value(shard), 0)
    const skipped = total((shard) => shard.skipped.length)
    return { folder, images: total(({ count }) => count), shards: shards.length, skipped, interrupted }
  } finally {
    await set.close()
  }
}

async function plan(tokenizer: Tokenizer, set: ImageSet, settings: Settings): Promise<LatentPlan> {
  const { dtype, moments, flip: flips, shardSize, precision, preprocess, sample, seed } = settings
  const samples = Array.from({ length: set.size }, (_, index) => set.sample(index))
  const { imageSize, latentTokens, latentChannels } = tokenizer.config
  return {
    names: samples.map(({ name }) => name),
    // A folder without classes is one class.
    labels: samples.map(({ label }) => Math.max(0, label)),
    classes: set.classes ?? undefined,
    shape: [latentTokens, latentChannels] as const,
    ...{ dtype, moments, flips, shardSize, tokenizer: await tokenizer.identity() },
    settings: { image_size: imageSize, precision, preprocess, sample, seed: sample ? seed : null }
  }
}

/** Writes the missing shards; false when it was interrupted. */
async function writeShards(
  tokenizer: Tokenizer,
  set: ImageSet,
  writer: LatentWriter,
  settings: Settings
): Promise<boolean> {
  const { signal, onProgress } = settings
  const missing = writer.missing()
  let done = set.size - missing.reduce((sum, { first, end }) => sum + end - first, 0)
  onProgress?.(done, set.size)
  for (const range of missing) {
    const shard = writer.shard(range)
    const reasons = new Map<string, string>()
    let next = range.first
    const skipTo = (index: number) => {
      for (; next < index; next++) shard.skip(next, reasons.get(set.sample(next).name) ?? 'broken')
    }
    for await (const batch of centreCrops(tokenizer, set, range, settings, reasons)) {
      if (signal?.aborted) return false
      // Images may be missing inside a batch: what is encoded together must be neighbours.
      const hashes = await Promise.all(Array.from(batch.indices, async (index) => sha256(await set.read(index))))
      for (const { start, end } of runs(batch.indices)) {
        const indices = [...batch.indices.subarray(start, end)]
        skipTo(indices[0] as number)
        const encoded = await encodeRun(tokenizer, batch, start, end, settings, set.size)
        shard.add({ indices, hashes: hashes.slice(start, end), ...encoded })
        next = (indices.at(-1) as number) + 1
      }
      onProgress?.(done + next - range.first, set.size)
    }
    skipTo(range.end)
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
    ...{ size: tokenizer.config.imageSize, batch, preprocess, strict, start: range.first, end: range.end },
    flip: flip ? 'both' : 'none',
    onBroken: (broken) => {
      reasons.set(broken.name, broken.reason)
      onBroken?.(broken)
    }
  })
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Positions [start, end) in which the indices are consecutive: the noise of a pass goes by consecutive numbers. */
function* runs(indices: Int32Array): Generator<{ start: number; end: number }> {
  let start = 0
  for (let i = 1; i <= indices.length; i++) {
    if (indices[i] === (indices[i - 1] as number) + 1) continue
    yield { start, end: i }
    start = i
  }
}

/** Encodes rows [start, end) of a batch, and their mirror images with noise of their own. */
async function encodeRun(
  tokenizer: Tokenizer,
  batch: EvaluationBatch,
  start: number,
  end: number,
  settings: Settings,
  total: number
) {
  const { imageSize: size } = tokenizer.config
  const first = batch.indices[start] as number
  const encode = async (pixels: Uint8Array, firstIndex: number) => {
    const rows = pixels.subarray(start * size * size * 3, end * size * size * 3)
    using images = tensor(rows, [end - start, size, size, 3], { dtype: 'uint8' })
    return encodeOnce(tokenizer, images, firstIndex, settings)
  }
  const { latents, logvar } = await encode(batch.images, first)
  const flipped = batch.flipped && (await encode(batch.flipped, total + first))
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
  firstIndex: number,
  { moments, sample, seed, precision }: Settings
): Promise<{ latents: Float32Array; logvar?: Float32Array }> {
  if (!moments) {
    using latents = await tokenizer.encode(images, { sample, seed, firstIndex, precision })
    return { latents: await latents.toFloat32() }
  }
  const { mean, logvar } = await tokenizer.posterior(images, { precision })
  using _mean = mean
  using _logvar = logvar
  return { latents: await mean.toFloat32(), ...(logvar && { logvar: await logvar.toFloat32() }) }
}
