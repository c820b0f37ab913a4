import { stat } from 'node:fs/promises'
import { instance, positive } from '../checks.js'
import { stampOf } from '../data/image-file.js'
import { toLevels } from '../data/levels.js'
import { ownBatches, wholeDeal } from '../distributed/deal.js'
import { sha256 } from '../files/read.js'
import { findGenerator } from '../generator/folder.js'
import { Generator, type SampleOptions } from '../generator/generator.js'
import type { SampleParts } from '../generator/sample-parts.js'
import { findTokenizer } from '../tokenizer/folder.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import type { ImageStream } from './image-stream.js'

export type DrawOptions = Omit<SampleOptions, 'tokenizer' | 'count' | 'firstIndex' | 'onStep'>

/**
 * A generator's samples as a stream of images on 256 levels; image i depends only on the seed and i.
 * @param deal - which batches: those of one rank, or all
 */
export function generatedImages(
  generator: Generator,
  tokenizer: Tokenizer,
  total: number,
  options: DrawOptions = {},
  deal = wholeDeal
): ImageStream {
  instance('generator', 'a Generator', Generator, generator)
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  positive('total', total)
  const { imageSize: size } = tokenizer.config
  return {
    name: 'samples',
    total,
    height: size,
    width: size,
    async *batches(first, batch) {
      for (const number of ownBatches(deal, Math.ceil((total - first) / batch))) {
        const firstIndex = first + number * batch
        const count = Math.min(batch, total - firstIndex)
        const { latents, images } = await generator.sample({ ...options, tokenizer, count, firstIndex })
        using _ = latents
        using decoded = images as NonNullable<typeof images>
        yield { images: toLevels(await decoded.toFloat32(), count), count, next: firstIndex + count }
      }
    },
    [Symbol.asyncDispose]: async () => {}
  }
}

/**
 * The samples as a stream, drawn by several processes: each draws its part, and the last one to end gets all, in the batches that
 * one process would draw.
 * @returns the stream; or the number of parts that other ranks have still to draw
 */
export async function drawAmongRanks(
  generator: Generator,
  tokenizer: Tokenizer,
  parts: SampleParts,
  options: DrawOptions & { onProgress?: (done: number, total: number) => void } = {}
): Promise<ImageStream | number> {
  const { onProgress, ...drawing } = options
  const toDraw = await parts.ownMissing()
  for (const [done, part] of toDraw.entries()) {
    onProgress?.(done * parts.plan.batch, toDraw.length * parts.plan.batch)
    const { first, count } = parts.rangeOf(part)
    const { latents, images, labels } = await generator.sample({ ...drawing, tokenizer, count, firstIndex: first })
    using _ = latents
    using decoded = images as NonNullable<typeof images>
    await parts.write(part, { images: toLevels(await decoded.toFloat32(), count), labels })
  }
  const missing = await parts.countMissing()
  if (missing > 0) return missing
  const { total, size, batch } = parts.plan
  return {
    name: 'samples',
    total,
    height: size,
    width: size,
    async *batches(first) {
      for (let part = Math.floor(first / batch); part * batch < total; part++) {
        const { images, labels } = await parts.read(part)
        yield { images, count: labels.length, next: part * batch + labels.length }
      }
    },
    [Symbol.asyncDispose]: async () => {}
  }
}

interface ModelFolders {
  generator: string
  tokenizer: string
  raw?: boolean
  weak?: string | undefined
}

const weightsFiles = async ({ generator, tokenizer, raw, weak }: ModelFolders): Promise<string[]> => [
  (await findGenerator(generator, raw)).weights,
  (await findTokenizer(tokenizer)).weights,
  ...(weak === undefined ? [] : [(await findGenerator(weak)).weights])
]

/** Identifies models by their weights' contents, which are the same on every machine. */
export async function hashWeights(folders: ModelFolders): Promise<string> {
  const hashes: string[] = []
  for (const file of await weightsFiles(folders)) hashes.push(await sha256(file))
  return hashes.join(' ')
}

/** Identifies samples: the weights' files with their modification times, and the settings. */
export async function sampleKey(folders: ModelFolders, settings: Record<string, unknown>): Promise<string> {
  const files = await weightsFiles(folders)
  const times = await Promise.all(files.map(async (file) => [file, stampOf(await stat(file))]))
  return JSON.stringify([times, settings])
}
