import { extname } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, object, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { writePng } from '../data/image.js'
import { toImages } from '../data/levels.js'
import { MactokError, outOfRange } from '../errors.js'
import { containedPath } from '../files/contained.js'
import { findExisting, refuseExisting } from '../files/overwrite.js'
import { sha256 } from '../files/read.js'
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
  object('options', 'an object', options)
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
  if (force) await refuseInputs(paths, await inputHashes(shardFolder))
  else await refuseExisting(paths)
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

/** What a file system that ignores case, or the form of accents, takes for one name. */
const fold = (name: string): string => name.normalize('NFC').toLowerCase()

/** The folders of a path: `a` and `a/b` of `a/b/c`. */
const foldersOf = (name: string): string[] => [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index))

/**
 * Names images as the encoded ones: `dogs/1.png` for `dogs/1.jpg`, but `dogs/1.jpg.png` where `dogs/1.png` is encoded
 * too, and with the image's number where that is taken as well, by `dogs/1.JPG` for example: names are unique whether
 * the file system minds case or not. Without names they are numbered. A name depends on the listing, not on which
 * images are decoded.
 */
function pngNames(names: readonly string[] | undefined, count: number): string[] {
  if (names === undefined) return Array.from({ length: count }, (_, i) => `${String(i).padStart(7, '0')}.png`)
  const stem = (name: string) => name.slice(0, name.length - extname(name).length)
  const uses = new Map<string, number>()
  const add = (name: string) => uses.set(fold(name), (uses.get(fold(name)) ?? 0) + 1)
  const isSingle = (name: string) => uses.get(fold(name)) === 1
  for (const name of names) add(stem(name))
  const all = new Set(names.map(fold))
  const wanted = names.map((name) => {
    const short = stem(name)
    // Another image named `1` would become `1.png` as well.
    const isUnique = isSingle(short) && (short === name || !all.has(fold(short)))
    return `${isUnique ? short : name}.png`
  })
  uses.clear()
  for (const name of wanted) add(name)
  const taken = new Set([...wanted, ...names.flatMap(foldersOf)].map(fold))
  const folders = new Set(names.flatMap(foldersOf).map(fold))
  return wanted.map((name, position) => {
    if (isSingle(name) && !folders.has(fold(name))) return name
    let numbered = `${stem(name)}-${position}.png`
    while (taken.has(fold(numbered))) numbered = `${stem(numbered)}-${position}.png`
    taken.add(fold(numbered))
    return numbered
  })
}

/** Hashes of the encoded images' files, as far as the manifest records them. */
async function inputHashes(shardFolder: string): Promise<Set<string>> {
  const manifest = await readManifest(shardFolder)
  return new Set(manifest?.shards.flatMap(({ hashes = [] }) => hashes))
}

/** Refuses to overwrite files that have one of these hashes: they are images that were encoded. */
async function refuseInputs(paths: readonly string[], hashes: ReadonlySet<string>): Promise<void> {
  for (const path of await findExisting(paths)) {
    if (hashes.has(await sha256(path))) {
      throw new MactokError('ERR_FORMAT', `${path} is one of the encoded images: choose another folder`)
    }
  }
}
