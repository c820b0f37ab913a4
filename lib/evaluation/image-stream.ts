import { createHash } from 'node:crypto'
import { pathTo, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { decode, type Orientation } from '../data/decode.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import type { Ignored, ImageSet, ImageSource } from '../data/image-set.js'
import { imageSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { hashStamps } from '../data/stamps.js'
import { MactokError } from '../errors.js'
import { NpzFile } from '../files/npz-reader.js'
import { fileStamp } from '../files/stat.js'

export interface ImageBatch {
  /** uint8 [B, height, width, 3] */
  images: Uint8Array
  count: number
  /** Position of the next image. */
  next: number
}

/** Images of one size in a fixed order, read batch by batch from any position on. */
export interface ImageStream extends AsyncDisposable {
  readonly name: string
  /** The number of images, including unreadable ones. */
  readonly total: number
  readonly height: number
  readonly width: number
  batches(first: number, batch: number): AsyncGenerator<ImageBatch, void, undefined>
}

export interface ImageStreamOptions {
  /**
   * Side of the centre crops. Default: the first image's short side. Ignored for an `.npz`, whose images have one size.
   */
  size?: number | undefined
  /** Number of images, spread over the listing; the first ones of an `.npz`. Default: all. */
  count?: number | undefined
  /** `ignore` leaves images as stored, whatever their EXIF says. Default `apply`. */
  orientation?: Orientation | undefined
  onBroken?: ((broken: Broken) => void) | undefined
  /** Called for the files that are not images. */
  onIgnored?: ((ignored: Ignored) => void) | undefined
}

/**
 * Opens the images at a path: a folder, tars, or `arr_0` of an `.npz` in ADM's layout.
 * @throws {MactokError} ERR_FORMAT when there are none
 */
export async function openImages(path: string, options: ImageStreamOptions = {}): Promise<ImageStream> {
  pathTo('path', path)
  checkOptions(options, { size: true, count: true, orientation: true, onBroken: true, onIgnored: true })
  for (const name of ['size', 'count'] as const) if (options[name] !== undefined) positive(name, options[name])
  return path.endsWith('.npz') ? npzImages(path, options) : setImages(imageSource(path), options)
}

/** Limit on the sides of an archive's images, which are read in whole batches. */
const maxSide = 8192

export async function npzImages(path: string, { count }: ImageStreamOptions = {}): Promise<ImageStream> {
  const file = await NpzFile.open(path)
  try {
    const { dtype, shape } = await file.describe('arr_0')
    const [all, height, width, channels] = shape as [number, number, number, number]
    if (dtype !== '|u1' || shape.length !== 4 || channels !== 3) {
      throw new MactokError('ERR_FORMAT', `arr_0 of ${path} is ${dtype} [${shape}] instead of |u1 [N, H, W, 3]`)
    }
    if (all === 0) throw new MactokError('ERR_FORMAT', `${path} has no images`)
    if (!Math.min(height, width) || Math.max(height, width) > maxSide) {
      throw new MactokError(
        'ERR_FORMAT',
        `The images of ${path} have ${height} × ${width} pixels, expected sides of 1 to ${maxSide}`
      )
    }
    const total = Math.min(all, count ?? all)
    return {
      name: path,
      total,
      height,
      width,
      async *batches(first, batch) {
        let next = 0
        for await (const { rows } of file.rows('arr_0', batch)) {
          const start = next
          const end = Math.min(total, start + rows.length / (height * width * 3))
          next = end
          if (end > first) {
            const images = rows.subarray(
              Math.max(0, first - start) * height * width * 3,
              (end - start) * height * width * 3
            )
            yield { images, count: end - Math.max(first, start), next: end }
          }
          if (end === total) return
        }
      },
      [Symbol.asyncDispose]: () => file.close()
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Streams centre crops of a source's images. */
export async function setImages(source: ImageSource, options: ImageStreamOptions = {}): Promise<ImageStream> {
  const { count, orientation, onBroken, onIgnored } = options
  const set = await source.open()
  try {
    const size = options.size ?? (await shortSide(set, orientation))
    const chosen = spread(set, count ?? set.size)
    if (onIgnored) set.ignored.forEach(onIgnored)
    return {
      name: source.name,
      total: chosen.size,
      height: size,
      width: size,
      async *batches(first, batch) {
        const settings = { size, batch, orientation, start: first, onBroken }
        for await (const { images, indices } of evaluationBatches(chosen, settings)) {
          yield { images, count: indices.length, next: (indices.at(-1) as number) + 1 }
        }
      },
      [Symbol.asyncDispose]: () => set.close()
    }
  } catch (error) {
    await set.close()
    throw error
  }
}

async function shortSide(set: ImageSet, orientation?: Orientation): Promise<number> {
  const { width, height } = await decode(await set.read(0), { orientation })
  return Math.min(width, height)
}

/**
 * Identifies a path's images, so that work on others is not resumed: by the path, the names, sizes and times of the
 * images' files; of an `.npz`, its own.
 */
export async function imageKey(path: string, orientation?: Orientation): Promise<string> {
  if (path.endsWith('.npz')) return JSON.stringify([path, await fileStamp(path)])
  const set = await imageSource(path).open()
  try {
    const names = createHash('sha256')
    for (let index = 0; index < set.size; index++) names.update(`${set.sample(index).name}\0`)
    return JSON.stringify([
      set.name,
      orientation,
      names.digest('hex'),
      await hashStamps(set, { first: 0, end: set.size }, '')
    ])
  } finally {
    await set.close()
  }
}
