import type { z } from 'zod'
import { callbacks, instance, object, positive } from '../checks.js'
import { parseConfig } from '../config.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { spread, spreadIndices } from '../data/spread.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { LatentShards } from '../latents/index.js'
import { tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { latentSampleSchema } from './schema.js'

/** Posteriors of many images, in memory. */
export interface LatentSamples {
  count: number
  tokens: number
  channels: number
  /** [count, tokens, channels] */
  means: Float32Array
  /** The same shape; null if the variances are unknown. */
  logvars: Float32Array | null
  /** [count], -1 for none. */
  labels: Int32Array
  classes: readonly string[] | null
}

export interface LatentSampleOptions extends z.input<typeof latentSampleSchema> {
  onProgress?: ((done: number, total: number) => void) | undefined
  onBroken?: ((broken: Broken) => void) | undefined
  signal?: AbortSignal | undefined
}

const throwIfAborted = (signal: AbortSignal | undefined) => {
  if (signal?.aborted) throw new MactokError('ERR_ABORTED', 'Reading latents was aborted')
}

/**
 * Refuses what is no latents of samples.
 * @throws {TypeError | RangeError} naming the field
 */
export function checkSamples(
  name: string,
  samples: Pick<LatentSamples, 'count' | 'tokens' | 'channels' | 'means' | 'logvars'>
): void {
  object(name, 'latents with count, tokens, channels and means', samples)
  const { count, tokens, channels, means, logvars } = samples
  positive(`${name}.count`, count)
  positive(`${name}.tokens`, tokens)
  positive(`${name}.channels`, channels)
  for (const [field, values] of Object.entries({ means, logvars })) {
    if (field === 'logvars' && values === null) continue
    if (!(values instanceof Float32Array)) throw invalidParameter(`${name}.${field}`, 'a Float32Array', values)
    const size = count * tokens * channels
    if (values.length !== size)
      throw outOfRange(`${name}.${field}`, `${count} × ${tokens} × ${channels} values`, values.length)
  }
}

/**
 * Encodes centre crops of images, unmasked.
 * @throws {TypeError | RangeError} wrong options
 * @throws {MactokError} ERR_ABORTED when `signal` aborts
 */
export async function encodeSamples(
  tokenizer: Tokenizer,
  source: ImageSource,
  options: LatentSampleOptions = {}
): Promise<LatentSamples> {
  object('options', 'an object', options)
  const { onProgress, onBroken, signal, ...settings } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  callbacks({ onProgress, onBroken, signal })
  const { count, batch, precision } = parseConfig(latentSampleSchema, settings)
  const { imageSize: size, latentTokens: tokens, latentChannels: channels } = tokenizer.config
  const set = await asSource('source', source).open()
  try {
    const chosen = spread(set, count)
    const means = new Float32Array(chosen.size * tokens * channels)
    const logvars = new Float32Array(means.length)
    const labels: number[] = []
    let hasVariances = true
    for await (const { images, indices, labels: some } of evaluationBatches(chosen, { size, batch, onBroken })) {
      throwIfAborted(signal)
      using input = tensor(images, [indices.length, size, size, 3], { dtype: 'uint8' })
      const { mean, logvar } = await tokenizer.posterior(input, { precision })
      using _ = mean
      using __ = logvar
      const at = labels.length * tokens * channels
      means.set(await mean.toFloat32(), at)
      if (logvar) logvars.set(await logvar.toFloat32(), at)
      else hasVariances = false
      labels.push(...some)
      onProgress?.(labels.length, chosen.size)
    }
    const length = labels.length * tokens * channels
    return {
      count: labels.length,
      tokens,
      channels,
      means: means.subarray(0, length),
      logvars: hasVariances ? logvars.subarray(0, length) : null,
      labels: Int32Array.from(labels),
      classes: set.classes
    }
  } finally {
    await set.close()
  }
}

/**
 * Reads latents of tokens from shards.
 * @throws {MactokError} ERR_FORMAT for shards of two-dimensional latents
 */
export async function readSamples(
  shards: LatentShards,
  options: Pick<LatentSampleOptions, 'count'> = {}
): Promise<LatentSamples> {
  instance('shards', 'latent shards', LatentShards, shards)
  const { count } = parseConfig(latentSampleSchema, options)
  const [tokens, channels, ...more] = shards.sampleShape
  if (more.length > 0) {
    throw new MactokError(
      'ERR_FORMAT',
      `${shards.folder} holds latents [${shards.sampleShape}], expected tokens [L, Z]`
    )
  }
  const rows = spreadIndices(shards.count, count)
  const { latents, logvar, labels } = await shards.rows(rows)
  return {
    count: rows.length,
    tokens,
    channels,
    means: latents,
    logvars: logvar ?? null,
    labels,
    classes: shards.classes ?? null
  }
}
