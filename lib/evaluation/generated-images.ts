import { instance, positive } from '../checks.js'
import { toLevels } from '../data/levels.js'
import { ownBatches, wholeDeal } from '../distributed/deal.js'
import { Generator, type SampleOptions } from '../generator/generator.js'
import type { SampleParts } from '../generator/sample-parts.js'
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
