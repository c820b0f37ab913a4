import { createHash } from 'node:crypto'
import { natural, oneOf, positive } from '../checks.js'
import { outOfRange } from '../errors.js'
import { centreCrop, mirrorPixels } from './crop.js'
import { type DecodeOptions, decode, decodeFast, defaultMaxPixels, type Image, orientations } from './decode.js'
import type { ImageSet } from './image-set.js'
import { type BatchOptions, completeOptions } from './options.js'
import { prefetch } from './prefetch.js'
import { ImageReader } from './reader.js'

/** How images become centre crops: exactly as ADM does, or with the decoder's own downscaling. */
export const preprocesses = ['adm', 'fast'] as const
export type Preprocess = (typeof preprocesses)[number]
export const defaultPreprocess: Preprocess = 'adm'

export interface EvaluationBatchOptions extends BatchOptions, DecodeOptions {
  /** `adm`: ADM's exact centre crop. `fast`: shrinks while decoding, about one level of 255 away. Default `adm`. */
  preprocess?: Preprocess
  /** `both`: every image mirrored as well. Default `none`. */
  flip?: 'none' | 'both'
  /** Refuse images that are not square, because a crop would show only a part of them. Default false. */
  whole?: boolean
  /** Hash each file as well. Default false. */
  hash?: boolean
  /** The first image, in listing order. Default 0. */
  start?: number
  /** The end of the range, exclusive. Default: the set's size. */
  end?: number
  /** The batches `rank`, `rank + ranks`, … alone, none of them skipped, so that the ranks' batches stay in step. Default: all. */
  deal?: { rank: number; ranks: number } | undefined
}

export interface EvaluationBatch {
  /** uint8 [B, size, size, 3]; B is smaller in the last batch and where images were unreadable. */
  images: Uint8Array
  /** The mirrored images, with `flip: 'both'`. */
  flipped: Uint8Array | null
  /** [B], -1 for none. */
  labels: Int32Array
  names: string[]
  /** [B], positions in the set. */
  indices: Int32Array
  /** [B], SHA-256 of the images' files in hexadecimal, with `hash`. */
  hashes: string[] | null
}

interface HashedImage extends Image {
  hash: string | null
}

/**
 * Centre crops in listing order, each image once. Unreadable images are skipped and reported to `onBroken`; so are batches without
 * others, unless they are dealt.
 */
export function evaluationBatches(
  set: ImageSet,
  options: EvaluationBatchOptions
): AsyncGenerator<EvaluationBatch, void, undefined> {
  const {
    size,
    batch,
    preprocess = defaultPreprocess,
    flip = 'none',
    whole = false,
    hash = false,
    start = 0,
    end = set.size,
    deal,
    maxPixels = defaultMaxPixels,
    orientation = 'apply',
    ...rest
  } = completeOptions(options, 0)
  oneOf('preprocess', preprocesses, preprocess)
  oneOf('flip', ['none', 'both'], flip)
  oneOf('orientation', orientations, orientation)
  positive('maxPixels', maxPixels)
  natural('start', start)
  natural('end', end)
  if (end > set.size || start > end) {
    throw outOfRange('start and end', `a range within the ${set.size} images`, [start, end])
  }

  const decodeAndHash = async (bytes: Buffer): Promise<HashedImage> => {
    const decoding = { maxPixels, orientation }
    const image = preprocess === 'adm' ? await decode(bytes, decoding) : await decodeFast(bytes, size, decoding)
    return { ...image, hash: hash ? createHash('sha256').update(bytes).digest('hex') : null }
  }
  const reader = new ImageReader(set, decodeAndHash, rest)
  const pixels = size * size * 3

  const { rank, ranks } = deal ?? { rank: 0, ranks: 1 }
  const total = Math.ceil((end - start) / batch)
  const batches = prefetch<EvaluationBatch>(0, Math.ceil((total - rank) / ranks), rest, async (number, workers) => {
    const first = start + (rank + number * ranks) * batch
    const count = Math.min(batch, end - first)
    const images = new Uint8Array(count * pixels)
    const rows = Array.from({ length: count }, (_, row) =>
      workers.run(async () => {
        const image = await reader.read(first + row)
        if (!image) return null
        if (whole && image.width !== image.height) {
          const { name } = set.sample(first + row)
          throw outOfRange('images', 'square images', `${name} of ${image.width} × ${image.height}`)
        }
        await centreCrop(image, size, images.subarray(row * pixels, (row + 1) * pixels))
        return { hash: image.hash }
      })
    )
    return compactBatch(set, first, images, await Promise.all(rows), {
      mirrorSize: flip === 'both' ? size : null,
      hash
    })
  })
  return deal ? batches : skipEmpty(batches)
}

/** Closes the gaps that unreadable images left, and adds names, labels and mirrored images. */
function compactBatch(
  set: ImageSet,
  first: number,
  images: Uint8Array,
  rows: ({ hash: string | null } | null)[],
  { mirrorSize, hash }: { mirrorSize: number | null; hash: boolean }
): EvaluationBatch {
  const pixels = images.length / rows.length
  const indices: number[] = []
  for (const [row, content] of rows.entries()) {
    if (!content) continue
    if (indices.length < row) images.copyWithin(indices.length * pixels, row * pixels, (row + 1) * pixels)
    indices.push(first + row)
  }
  const kept = images.subarray(0, indices.length * pixels)
  const samples = indices.map((index) => set.sample(index))
  return {
    images: kept,
    flipped: mirrorSize === null ? null : mirrorPixels(kept, mirrorSize),
    labels: Int32Array.from(samples, ({ label }) => label),
    names: samples.map(({ name }) => name),
    indices: Int32Array.from(indices),
    hashes: hash ? indices.map((index) => rows[index - first]?.hash as string) : null
  }
}

/** Skips batches in which every image was unreadable. */
async function* skipEmpty(
  batches: AsyncGenerator<EvaluationBatch, void, undefined>
): AsyncGenerator<EvaluationBatch, void, undefined> {
  for await (const batch of batches) if (batch.indices.length > 0) yield batch
}
