import { mkdir } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { writePng } from '../data/image.js'
import { toImages } from '../data/levels.js'
import { MactokError, outOfRange } from '../errors.js'
import { openLatents } from '../latents/index.js'
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
 * @throws {MactokError} `ERR_FORMAT` for shards of another shape, or of another tokenizer without `force`
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
  const names = shards.names()
  const total = Math.min(end, shards.count) - start
  const used = new Set<string>()
  onProgress?.(0, total)
  for (let first = 0; first < total; first += batch) {
    if (signal?.aborted) return { folder, images: first, interrupted: true }
    const count = Math.min(batch, total - first)
    const indices = Array.from({ length: count }, (_, i) => start + first + i)
    using latents = tensor((await shards.rows(indices)).latents, [count, ...shape])
    using decoded = await tokenizer.decode(latents, { precision })
    const images = toImages(await decoded.toFloat32(), decoded.shape)
    await Promise.all(
      images.map(async (image, i) => {
        const index = indices[i] as number
        const path = join(folder, pngName(names?.[index] ?? String(index).padStart(7, '0'), used))
        await mkdir(dirname(path), { recursive: true })
        await writePng(path, image)
      })
    )
    onProgress?.(first + count, total)
  }
  return { folder, images: total, interrupted: false }
}

/** Names `dogs/1.jpg` `dogs/1.png`, or `dogs/1.jpg.png` if that is taken. */
function pngName(name: string, used: Set<string>): string {
  const short = `${name.slice(0, name.length - extname(name).length)}.png`
  const path = used.has(short) ? `${name}.png` : short
  used.add(path)
  return path
}
