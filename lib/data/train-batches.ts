import { callback, natural } from '../checks.js'
import { MactokError, outOfRange } from '../errors.js'
import { type CropDraws, halve, longestShortSide, randomCrop } from './crop.js'
import { decode, type Image } from './decode.js'
import type { ImageSet } from './image-set.js'
import { type BatchOptions, completeOptions, trainingCacheBytes } from './options.js'
import { prefetch } from './prefetch.js'
import { ImageReader } from './reader.js'
import { sampleOrder, type Uniform } from './shuffle.js'

/** Crops of training where nothing else is set. */
export const defaultCrops = { minScale: 0.8, flip: true }

export interface TrainBatchOptions extends BatchOptions {
  seed: number
  /** The source of every draw: order, crops, flips, replacements. */
  uniform: Uniform
  /** The smallest share of the short side that a crop shows; 1: all of it. Default 0.8. */
  minScale?: number
  /** Mirror images at random, half of them. Default true. */
  flip?: boolean
  /** The step of the first batch: starting at step n gives the same batches as running up to it. Default 0. */
  startStep?: number
  /** The rows of each batch to make, as one of several processes; default: all. */
  rows?: readonly number[]
}

export interface TrainBatch {
  step: number
  /** uint8 [B, size, size, 3], B the number of `rows` */
  images: Uint8Array
  /** [B], -1 for none. */
  labels: Int32Array
  /** [B], positions in the set. */
  indices: Int32Array
  /** Returns `images` to be reused by a later batch. Optional; call it when nothing reads them any more. */
  release(): void
}

/** How many replacements for an unreadable image are tried. */
const maxReplacements = 32

/**
 * Endless random crops for training: a new order every epoch, with batches that span two epochs. Row i of step s is a
 * function of (set, size, batch, seed, s, i) and of nothing else. An unreadable image is replaced by a random one,
 * drawn the same way.
 */
export function trainBatches(set: ImageSet, options: TrainBatchOptions): AsyncGenerator<TrainBatch, void, undefined> {
  const {
    size,
    batch,
    seed,
    uniform,
    minScale = defaultCrops.minScale,
    flip = defaultCrops.flip,
    startStep = 0,
    rows: wanted = Array.from({ length: options.batch }, (_, row) => row),
    ...rest
  } = completeOptions(options, trainingCacheBytes)
  callback('uniform', uniform)
  if (set.size === 0) throw outOfRange('set', 'one or more images', set.size)
  natural('seed', seed)
  natural('startStep', startStep)
  if (!(minScale > 0 && minScale <= 1)) throw outOfRange('minScale', 'a number in (0, 1]', minScale)

  // Every crop starts by halving: done before an image is cached, it saves memory and the time of later crops.
  const prepare = async (bytes: Buffer) => halve(await decode(bytes), longestShortSide(size, minScale))
  const reader = new ImageReader(set, prepare, rest)
  const indexAt = sampleOrder(uniform, seed, set.size)
  const pixels = size * size * 3
  const free: Uint8Array[] = []

  async function readOrReplace(index: number, step: number, row: number): Promise<{ index: number; image: Image }> {
    const image = await reader.read(index)
    if (image) return { index, image }
    for (const draw of uniform(seed, 'replacement', step, row, 1, maxReplacements)) {
      const other = Math.floor(draw * set.size)
      const replacement = await reader.read(other)
      if (replacement) return { index: other, image: replacement }
    }
    throw new MactokError('ERR_FORMAT', `${set.name}: drew ${maxReplacements + 1} images, all of them unreadable`)
  }

  return prefetch<TrainBatch>(startStep, Infinity, rest, async (step, workers) => {
    // In the order of the batch, which may begin a new epoch.
    const first = wanted.map((row) => indexAt(step * batch + row))
    const crops = uniform(seed, 'crop', step, 0, batch, 3)
    const flips = uniform(seed, 'flip', step, 0, batch, 1)
    const images = free.pop() ?? new Uint8Array(wanted.length * pixels)
    const indices = new Int32Array(wanted.length)
    const rows = wanted.map((row, i) =>
      workers.run(async () => {
        const { index, image } = await readOrReplace(first[i] as number, step, row)
        const [scale, x, y] = crops.subarray(row * 3) as unknown as [number, number, number]
        const draws: CropDraws = { scale, x, y, flip: flip && (flips[row] as number) < 0.5 }
        await randomCrop(image, size, minScale, draws, images.subarray(i * pixels, (i + 1) * pixels))
        indices[i] = index
      })
    )
    await Promise.all(rows)
    const labels = Int32Array.from(indices, (index) => set.sample(index).label)
    let released = false
    const release = () => {
      if (!released) free.push(images)
      released = true
    }
    return { step, images, labels, indices, release }
  })
}
