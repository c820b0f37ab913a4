import { dirname, join } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, pathTo, text } from '../checks.js'
import { parseConfig } from '../config.js'
import type { Image } from '../data/decode.js'
import { grid, writePng } from '../data/image.js'
import { toImages } from '../data/levels.js'
import { aloneRanks, type Ranks } from '../distributed/ranks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import { NpzWriter } from '../files/npz-writer.js'
import { refuseExisting } from '../files/overwrite.js'
import { fileStamp } from '../files/stat.js'
import { Generator, type SampleOptions } from '../generator/generator.js'
import { hashModels } from '../generator/hash-models.js'
import { SampleParts, type SamplePlan } from '../generator/sample-parts.js'
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
  /**
   * Which of the processes that draw the samples together this one is; they share the paths and nothing else. Each draws some
   * batches; those of an `.npz` are kept in `<npz>.parts` until the last rank writes it, with the bytes that one process would
   * write. Default: one alone.
   */
  ranks?: Ranks
  /** The stamp of what was at `npz` when the ranks' job began, null for nothing: another file has its samples. Default: of what is there now. */
  before?: string | null
}

export interface SampledImages {
  images: number
  interrupted: boolean
  /** Number of images by label. */
  labels: Record<number, number>
  /** Batches that other ranks have not drawn yet: the last one writes the `.npz`. */
  missing?: number
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
  const {
    folder,
    grid: sheet,
    npz,
    classes,
    weak,
    onProgress,
    signal,
    ranks = aloneRanks,
    before,
    ...given
  } = options ?? {}
  instance('generator', 'a Generator', Generator, generator)
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  callbacks({ signal, onProgress })
  if (before !== undefined && before !== null) text('before', 'the stamp of a file', before)
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
  if (ranks.worldSize > 1) {
    if (sheet !== undefined)
      throw outOfRange('grid', 'no grid among several ranks: each has a part of the images', sheet)
    const drawing = { ...sampling, classes, weak }
    return sampleAmongRanks(generator, tokenizer, {
      drawing,
      plan: {
        key: JSON.stringify([
          await hashModels({ generator, tokenizer, weak }),
          { ...drawing, weak: undefined },
          firstIndex
        ]),
        total,
        batch,
        size
      },
      ranks,
      folder,
      npz,
      firstIndex,
      before: before === undefined && npz !== undefined ? await fileStamp(npz) : (before ?? null),
      onProgress,
      signal
    })
  }
  const counts: Record<number, number> = {}
  const shown: Image[] = []
  const fileOf = (index: number) => fileOfSample(folder ?? '', firstIndex + index)
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

const fileOfSample = (folder: string, number: number) => join(folder, `${String(number).padStart(6, '0')}.png`)

interface SharedDrawing {
  drawing: Omit<SampleOptions, 'count' | 'firstIndex' | 'tokenizer'> & { force: boolean }
  plan: SamplePlan
  ranks: Ranks
  folder: string | undefined
  npz: string | undefined
  firstIndex: number
  before: string | null
  onProgress: SampleImagesOptions['onProgress'] | undefined
  signal: AbortSignal | undefined
}

/** Draws this rank's batches; the last rank writes the archive. */
async function sampleAmongRanks(
  generator: Generator,
  tokenizer: Tokenizer,
  { drawing, plan, ranks, folder, npz, firstIndex, before, onProgress, signal }: SharedDrawing
): Promise<SampledImages> {
  const parts = await SampleParts.open(`${npz ?? folder}.parts`, plan, ranks)
  const numbersOf = (part: number) => {
    const { first, count } = parts.rangeOf(part)
    return Array.from({ length: count }, (_, i) => firstIndex + first + i)
  }
  // PNGs have no parts to resume from.
  const missing = folder ? parts.own() : await parts.ownMissing()
  // Where an earlier job ended between its last batch and the archive, a faster rank may have written that already.
  const isDone = async () => npz !== undefined && (await fileStamp(npz)) !== before
  const toDraw = (await isDone()) ? [] : missing
  if (folder && !drawing.force) {
    const files = toDraw.flatMap((part) => numbersOf(part).map((number) => fileOfSample(folder, number)))
    await refuseExisting(files, remedy)
  }
  if (folder) await makeFolder(folder)
  const total = toDraw.reduce((sum, part) => sum + parts.rangeOf(part).count, 0)
  const labels: Record<number, number> = {}
  let done = 0
  const finish = (interrupted: boolean, missing = 0) => ({ images: done, interrupted, labels, missing })
  try {
    onProgress?.(0, total)
    for (const part of toDraw) {
      const { first, count } = parts.rangeOf(part)
      const drawn = await draw(generator, { ...drawing, count, firstIndex: firstIndex + first, tokenizer, signal })
      for (const [i, image] of drawn.images.entries()) {
        const label = drawn.labels[i] as number
        labels[label] = (labels[label] ?? 0) + 1
        if (folder) await writePng(fileOfSample(folder, firstIndex + first + i), image)
      }
      if (npz) await parts.write(part, { images: joinPixels(drawn.images), labels: drawn.labels })
      done += count
      onProgress?.(done, total)
    }
  } catch (error) {
    if (error instanceof MactokError && error.code === 'ERR_ABORTED') return finish(true)
    throw error
  }
  if (!npz) return finish(false)
  if (await isDone()) {
    // Nobody needs what this rank drew meanwhile.
    await parts.remove()
    return finish(false)
  }
  const left = await parts.countMissing()
  if (left === 0) await parts.merge(() => writeArchive(parts, npz))
  return finish(false, left)
}

const joinPixels = (images: readonly Image[]): Uint8Array => Buffer.concat(images.map(({ data }) => data))

async function writeArchive(parts: SampleParts, npz: string): Promise<void> {
  const { total, batch, size } = parts.plan
  await makeFolder(dirname(npz))
  const archive = await NpzWriter.create(npz, total, size, size)
  try {
    for (let part = 0; part * batch < total; part++) {
      const { images, labels } = await parts.read(part)
      const bytes = size * size * 3
      for (const [i, label] of labels.entries()) await archive.add(images.subarray(i * bytes, (i + 1) * bytes), label)
    }
    await archive.finish()
  } catch (error) {
    await archive.discard().catch(() => {})
    throw error
  }
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
