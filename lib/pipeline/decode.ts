import { extname } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { writePng } from '../data/image.js'
import { toImages } from '../data/levels.js'
import { MactokError, outOfRange } from '../errors.js'
import { containedPath } from '../files/contained.js'
import { sha256 } from '../files/read.js'
import { exists } from '../files/stat.js'
import { openLatents } from '../latents/index.js'
import { readManifest } from '../latents/manifest.js'
import { tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { decodeSchema } from './decode-schema.js'

export interface DecodeShardsOptions extends z.input<typeof decodeSchema> {
  onProgress?: (done: number, total: number) => void
  /** Stops between two batches. */
  signal?: AbortSignal
}

export interface DecodedShards {
  folder: string
  images: number
  interrupted: boolean
}

/**
 * Decodes latent shards into PNG files, named after the encoded images, or numbered if the names are unknown.
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` for shards of another shape; without `force`, for those of another tokenizer and
 *   for files that exist; and, before anything is written, for names that lead out of the folder and for files that are
 *   the encoded images themselves
 */
export async function decodeShards(
  tokenizer: Tokenizer,
  shardFolder: string,
  folder: string,
  options: DecodeShardsOptions = {}
): Promise<DecodedShards> {
  const { signal, onProgress, ...settings } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  pathTo('shardFolder', shardFolder)
  pathTo('folder', folder)
  callbacks({ signal, onProgress })
  const { batch, precision, force, start, ...range } = parseConfig(decodeSchema, settings)
  await using shards = await openLatents(shardFolder)
  const { latentTokens, latentChannels } = tokenizer.config
  const shape = [latentTokens, latentChannels]
  if (`${shards.sampleShape}` !== `${shape}`) {
    throw new MactokError(
      'ERR_FORMAT',
      `${shardFolder} holds latents [${shards.sampleShape}], but the tokenizer makes [${shape}]`
    )
  }
  if (!force && shards.tokenizer !== undefined && shards.tokenizer !== (await tokenizer.identity())) {
    throw new MactokError(
      'ERR_FORMAT',
      `${shardFolder} was encoded by another tokenizer (${shards.tokenizer}); set force to decode it anyway`
    )
  }
  const { end = shards.count } = range
  if (start >= Math.min(end, shards.count)) {
    throw outOfRange('start and end', `a range within the ${shards.count} images`, [start, end])
  }
  const total = Math.min(end, shards.count) - start
  const files = pngNames(shards.names(), shards.count).slice(start, start + total)
  const paths = files.map((name) => containedPath(folder, name))
  await refuseExisting(paths, force ? await inputHashes(shardFolder) : null)
  onProgress?.(0, total)
  for (let first = 0; first < total; first += batch) {
    if (signal?.aborted) return { folder, images: first, interrupted: true }
    const count = Math.min(batch, total - first)
    const indices = Array.from({ length: count }, (_, i) => start + first + i)
    using latents = tensor((await shards.rows(indices)).latents, [count, ...shape])
    using decoded = await tokenizer.decode(latents, { precision })
    const images = toImages(await decoded.toFloat32(), decoded.shape)
    await Promise.all(images.map((image, i) => writePng(paths[first + i] as string, image)))
    onProgress?.(first + count, total)
  }
  return { folder, images: total, interrupted: false }
}

/**
 * Names images as the encoded ones: `dogs/1.png` for `dogs/1.jpg`, but `dogs/1.jpg.png` where `dogs/1.png` is encoded
 * too. Without names they are numbered. A name depends on the listing, not on which images are decoded.
 */
function pngNames(names: readonly string[] | undefined, count: number): string[] {
  if (names === undefined) return Array.from({ length: count }, (_, i) => `${String(i).padStart(7, '0')}.png`)
  const stem = (name: string) => name.slice(0, name.length - extname(name).length)
  const uses = new Map<string, number>()
  for (const name of names) uses.set(stem(name), (uses.get(stem(name)) ?? 0) + 1)
  const all = new Set(names)
  return names.map((name) => {
    const short = stem(name)
    // Another image named `1` would become `1.png` as well.
    const isUnique = uses.get(short) === 1 && (short === name || !all.has(short))
    return `${isUnique ? short : name}.png`
  })
}

/** Hashes of the encoded images' files, as far as the manifest records them. */
async function inputHashes(shardFolder: string): Promise<Set<string>> {
  const manifest = await readManifest(shardFolder)
  return new Set(manifest?.shards.flatMap(({ hashes = [] }) => hashes))
}

/**
 * Refuses to overwrite files, before anything is written.
 * @param inputs - overwrites files after all, but none of these hashes: they are images that were encoded
 */
async function refuseExisting(paths: readonly string[], inputs: ReadonlySet<string> | null): Promise<void> {
  const existing: string[] = []
  for (const path of paths) if (await exists(path)) existing.push(path)
  const [first] = existing
  if (first === undefined) return
  const others = existing.length === 1 ? '' : `, and so do ${existing.length - 1} others`
  if (inputs === null) {
    throw new MactokError(
      'ERR_FORMAT',
      `${first} exists${others}: choose another folder, or set force to overwrite what is there`
    )
  }
  for (const path of existing) {
    if (inputs.has(await sha256(path))) {
      throw new MactokError('ERR_FORMAT', `${path} is one of the encoded images: choose another folder`)
    }
  }
}
