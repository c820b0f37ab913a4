import { stat } from 'node:fs/promises'
import { instance, positive } from '../checks.js'
import { stampOf } from '../data/image-file.js'
import { toLevels } from '../data/levels.js'
import { findGenerator } from '../generator/folder.js'
import { Generator, type SampleOptions } from '../generator/generator.js'
import { findTokenizer } from '../tokenizer/folder.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import type { ImageStream } from './image-stream.js'

export type DrawOptions = Omit<SampleOptions, 'tokenizer' | 'count' | 'firstIndex' | 'onStep'>

/** A generator's samples as a stream of images on 256 levels; image i depends only on the seed and i. */
export function generatedImages(
  generator: Generator,
  tokenizer: Tokenizer,
  total: number,
  options: DrawOptions = {}
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
      for (let done = first; done < total; ) {
        const count = Math.min(batch, total - done)
        const { latents, images } = await generator.sample({ ...options, tokenizer, count, firstIndex: done })
        using _ = latents
        using decoded = images as NonNullable<typeof images>
        done += count
        yield { images: toLevels(await decoded.toFloat32(), count), count, next: done }
      }
    },
    [Symbol.asyncDispose]: async () => {}
  }
}

/** Identifies samples: the weights' files with their modification times, and the settings. */
export async function sampleKey(
  folders: { generator: string; tokenizer: string; raw?: boolean; weak?: string | undefined },
  settings: Record<string, unknown>
): Promise<string> {
  const files = [
    (await findGenerator(folders.generator, folders.raw)).weights,
    (await findTokenizer(folders.tokenizer)).weights,
    ...(folders.weak === undefined ? [] : [(await findGenerator(folders.weak)).weights])
  ]
  const times = await Promise.all(files.map(async (file) => [file, stampOf(await stat(file))]))
  return JSON.stringify([times, settings])
}
