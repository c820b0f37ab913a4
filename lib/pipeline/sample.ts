import { dirname, join } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import type { Image } from '../data/decode.js'
import { grid, writePng } from '../data/image.js'
import { toImages } from '../data/levels.js'
import { invalidParameter, MactokError } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import { NpzWriter } from '../files/npz-writer.js'
import { refuseExisting } from '../files/overwrite.js'
import { Generator, type SampleOptions } from '../generator/generator.js'
import type { GuidanceInput } from '../generator/sampling.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { sampleSchema } from './sample-schema.js'

export interface SampleImagesOptions
  extends Omit<z.input<typeof sampleSchema>, 'guidance'>,
    Pick<SampleOptions, 'classes' | 'weak'> {
  /** A scale, or `{ scale, low, high, channels }`, times in [0 noise, 1 data]. Default: none. */
  guidance?: GuidanceInput
  /** A folder for one PNG an image, `000000.png`, …: the sample's number. */
  folder?: string
  /** One PNG with all images. */
  grid?: string
  /** ADM's `.npz`. */
  npz?: string
  onProgress?: (done: number, total: number) => void
  /** Stops between two steps, leaving no incomplete grid or `.npz`. */
  signal?: AbortSignal
}

export interface SampledImages {
  images: number
  interrupted: boolean
  /** Number of images by label. */
  labels: Record<number, number>
}

/**
 * Draws samples and writes them as images.
 * @throws {TypeError | RangeError} for wrong options, or nothing to write to
 * @throws {MactokError} ERR_FORMAT, without `force`, for another tokenizer than the generator's, and for numbered files
 *   that exist
 */
export async function sampleImages(
  generator: Generator,
  tokenizer: Tokenizer,
  options: SampleImagesOptions
): Promise<SampledImages> {
  const { folder, grid: sheet, npz, classes, weak, onProgress, signal, ...given } = options ?? {}
  instance('generator', 'a Generator', Generator, generator)
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  callbacks({ signal, onProgress })
  if (folder === undefined && sheet === undefined && npz === undefined) {
    throw invalidParameter('folder', 'a folder, a grid or an npz file to write to', folder)
  }
  for (const [name, place] of Object.entries({ folder, grid: sheet, npz })) if (place !== undefined) pathTo(name, place)
  const { guidance } = given
  const settings = typeof guidance === 'number' ? { ...given, guidance: { scale: guidance } } : given
  const { batch, columns, firstIndex, count, ...sampling } = parseConfig(sampleSchema, settings)
  const classCount = classes === undefined ? 0 : [classes].flat().length
  const total = count ?? Math.max(1, classCount)
  const size = tokenizer.config.imageSize
  const counts: Record<number, number> = {}
  const shown: Image[] = []
  const fileOf = (index: number) => join(folder ?? '', `${String(firstIndex + index).padStart(6, '0')}.png`)
  if (folder && !sampling.force)
    await refuseExisting(
      Array.from({ length: total }, (_, i) => fileOf(i)),
      remedy
    )
  for (const place of [folder, sheet && dirname(sheet), npz && dirname(npz)]) {
    if (place) await makeFolder(place)
  }
  const archive = npz === undefined ? null : await NpzWriter.create(npz, total, size, size)
  try {
    onProgress?.(0, total)
    for (let done = 0; done < total; ) {
      const count = Math.min(batch, total - done)
      const part = { ...sampling, classes, weak, count, firstIndex: firstIndex + done, tokenizer, signal }
      const { images, labels } = await draw(generator, part)
      for (const [i, image] of images.entries()) {
        const label = labels[i] as number
        counts[label] = (counts[label] ?? 0) + 1
        if (folder) await writePng(fileOf(done + i), image)
        if (sheet) shown.push(image)
        await archive?.add(image.data, label)
      }
      done += count
      onProgress?.(done, total)
    }
    const width = columns ?? Math.min(total, classCount || 8)
    if (sheet) await writePng(sheet, await grid(shown, width))
    await archive?.finish()
  } catch (error) {
    await archive?.discard().catch(() => {})
    if (!(error instanceof MactokError) || error.code !== 'ERR_ABORTED') throw error
    const images = Object.values(counts).reduce((sum, count) => sum + count, 0)
    return { images, interrupted: true, labels: counts }
  }
  return { images: total, interrupted: false, labels: counts }
}

const remedy =
  'choose another folder, continue there by firstIndex (--first-index), or set force to overwrite what is there'

interface Drawn {
  images: Image[]
  labels: Int32Array
}

async function draw(generator: Generator, options: SampleOptions): Promise<Drawn> {
  const { latents, labels, images } = await generator.sample(options)
  using _ = latents
  using decoded = images as NonNullable<typeof images>
  return { labels, images: toImages(await decoded.data(), decoded.shape) }
}
