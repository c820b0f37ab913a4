import { natural } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { centreCrop, mirrored } from './crop.js'
import { decode, decodeFast } from './decode.js'
import type { ImageSet } from './image-set.js'
import { type BatchOptions, completed } from './options.js'
import { prefetched } from './prefetch.js'
import { ImageReader } from './reader.js'

export interface EvaluationBatchOptions extends BatchOptions {
  /** `adm`: exactly ADM's centre crop. `fast`: the decoder's own shrinking, about one level of 255 away. Default `adm`. */
  preprocess?: 'adm' | 'fast'
  /** `both`: every image mirrored as well. Default `none`. */
  flip?: 'none' | 'both'
  /** Refuse images that are not square, of which the crop shows a part. Default false. */
  whole?: boolean
  /** The first image, in listing order. Default 0. */
  start?: number
  /** The one after the last image. Default: the set's size. */
  end?: number
}

export interface EvaluationBatch {
  /** uint8 [B, size, size, 3], B less for the last batch and where images were broken. */
  images: Uint8Array
  /** The same from right to left, with `flip: 'both'`. */
  flipped: Uint8Array | null
  /** [B], -1 for none. */
  labels: Int32Array
  names: string[]
  /** [B], the images' numbers in the set. */
  indices: Int32Array
}

/** Centre crops in listing order, each image once. Broken images are left out and told to `onBroken`. */
export function evaluationBatches(
  set: ImageSet,
  options: EvaluationBatchOptions
): AsyncGenerator<EvaluationBatch, void, undefined> {
  const {
    size,
    batch,
    preprocess = 'adm',
    flip = 'none',
    whole = false,
    start = 0,
    end = set.size,
    ...rest
  } = completed(options, 0)
  if (preprocess !== 'adm' && preprocess !== 'fast') throw invalidParameter('preprocess', "'adm' or 'fast'", preprocess)
  if (flip !== 'none' && flip !== 'both') throw invalidParameter('flip', "'none' or 'both'", flip)
  natural('start', start)
  natural('end', end)
  if (end > set.size || start > end)
    throw outOfRange('start and end', `a range within the ${set.size} images`, [start, end])

  const reader = new ImageReader(set, preprocess === 'adm' ? decode : (bytes) => decodeFast(bytes, size), rest)
  const pixels = size * size * 3

  const batches = prefetched<EvaluationBatch>(0, Math.ceil((end - start) / batch), rest, async (number, workers) => {
    const first = start + number * batch
    const count = Math.min(batch, end - first)
    const images = new Uint8Array(count * pixels)
    const rows = Array.from({ length: count }, (_, row) =>
      workers.run(async () => {
        const image = await reader.image(first + row)
        if (!image) return false
        if (whole && image.width !== image.height) {
          const { name } = set.sample(first + row)
          throw outOfRange('images', 'square ones', `${name} of ${image.width} × ${image.height}`)
        }
        await centreCrop(image, size, images.subarray(row * pixels, (row + 1) * pixels))
        return true
      })
    )
    return withoutBroken(set, first, images, await Promise.all(rows), flip === 'both' ? size : null)
  })
  return filled(batches)
}

/** Closes the gaps that broken images left, and adds what the rows stand for. */
function withoutBroken(
  set: ImageSet,
  first: number,
  images: Uint8Array,
  whole: boolean[],
  mirrorSize: number | null
): EvaluationBatch {
  const pixels = images.length / whole.length
  const indices: number[] = []
  for (const [row, ok] of whole.entries()) {
    if (!ok) continue
    if (indices.length < row) images.copyWithin(indices.length * pixels, row * pixels, (row + 1) * pixels)
    indices.push(first + row)
  }
  const kept = images.subarray(0, indices.length * pixels)
  const samples = indices.map((index) => set.sample(index))
  return {
    images: kept,
    flipped: mirrorSize === null ? null : mirrored(kept, mirrorSize),
    labels: Int32Array.from(samples, ({ label }) => label),
    names: samples.map(({ name }) => name),
    indices: Int32Array.from(indices)
  }
}

/** Without the batches of which every image is broken. */
async function* filled(
  batches: AsyncGenerator<EvaluationBatch, void, undefined>
): AsyncGenerator<EvaluationBatch, void, undefined> {
  for await (const batch of batches) if (batch.indices.length > 0) yield batch
}
