/** Caches a teacher's features on disk, for training that sees every image in the same one or two views. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { mirrorPixels } from '../data/crop.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import type { ImageSet } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import { hashStamps } from '../data/stamps.js'
import { MactokError } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import { fileSize } from '../files/stat.js'
import type { NativeTensor, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { BATCH } from '../tensor/settings.js'
import { readSafetensors, type SafetensorsFile } from '../weights/reader.js'
import { writeSafetensors } from '../weights/writer.js'
import type { Teacher } from './teacher.js'

export interface FeatureCacheOptions {
  /** The folder of all caches. Each has a sub-folder, named by a hash of what its contents depend on. */
  folder: string
  set: ImageSet
  teacher: Teacher
  /** Side of the square images, in pixels. */
  size: number
  /** Whether training sees mirrored images as well. */
  flip: boolean
  precision: Precision
  onProgress?: ((done: number, total: number) => void) | undefined
  onBroken?: ((broken: Broken) => void) | undefined
  /** Stops after the current batch; complete shards stay on disk. */
  signal?: AbortSignal | undefined
}

const shardBytes = 32 * 2 ** 20
/** Bytes of a view's hash: enough to distinguish the views of one image from each other and from other pixels. */
const hashBytes = 8

const hashOf = (pixels: Uint8Array): Buffer => createHash('sha256').update(pixels).digest().subarray(0, hashBytes)

/**
 * `cls` and patch features as float16, with a hash of the pixels that they were computed from. Written in shards, each
 * complete or absent, so that an interrupted computation can be resumed. A shard of which image files changed since is
 * written again.
 */
export class FeatureCache implements AsyncDisposable {
  readonly #size: number
  /** Views per image. */
  readonly #views: number
  readonly #perShard: number
  /** 1 + N and D. */
  readonly #shape: readonly [number, number]
  readonly #shards: SafetensorsFile[]
  /** [images · views, hashBytes], by shard. */
  readonly #hashes: Uint8Array[]

  private constructor(layout: Layout, size: number, shards: SafetensorsFile[], hashes: Uint8Array[]) {
    this.#size = size
    this.#views = layout.views
    this.#perShard = layout.perShard
    this.#shape = layout.shape
    this.#shards = shards
    this.#hashes = hashes
  }

  /**
   * Opens the cache of a set, computing what is missing; null when the signal stopped that.
   * @throws {RangeError} for images that are not square, because training would see varying parts of them
   */
  static async open(options: FeatureCacheOptions): Promise<FeatureCache | null> {
    const layout = await layoutOf(options)
    await makeFolder(layout.folder)
    const { set, size, signal, onProgress } = options
    const shards: SafetensorsFile[] = []
    const hashes: Uint8Array[] = []
    try {
      for (let first = 0; first < set.size; first += layout.perShard) {
        const file = join(layout.folder, `features-${String(shards.length).padStart(5, '0')}.safetensors`)
        const end = Math.min(first + layout.perShard, set.size)
        const inputs = await hashStamps(set, { first, end }, '')
        let shard = await openShard(file, end - first, layout)
        if (!shard || shard.metadata.inputs !== inputs) {
          const complete = await computeShard(file, { first, end, inputs, earlier: shard }, layout, options)
          await shard?.close()
          if (!complete || signal?.aborted) {
            await Promise.all(shards.map((each) => each.close()))
            return null
          }
          shard = (await openShard(file, end - first, layout)) as SafetensorsFile
        }
        shards.push(shard)
        hashes.push(await shard.bytes('pixels'))
        onProgress?.(end, set.size)
      }
      return new FeatureCache(layout, size, shards, hashes)
    } catch (error) {
      await Promise.all(shards.map((shard) => shard.close()))
      throw error
    }
  }

  /**
   * Reads the features of a training batch, float16 [B, 1 + N, D] with `cls` first; the caller disposes them.
   * @param images - uint8 [B, size, size, 3]: image i must equal one of the views of image indices[i] in every pixel
   * @throws {MactokError} ERR_FORMAT when one does not
   */
  async features({ images, indices }: { images: Uint8Array; indices: ArrayLike<number> }): Promise<NativeTensor> {
    const [tokens, width] = this.#shape
    const pixels = this.#size * this.#size * 3
    const result = new Uint16Array(indices.length * tokens * width)
    const bytes = new Uint8Array(result.buffer)
    const stride = tokens * width * 2
    await Promise.all(
      Array.from(indices, async (index, row) => {
        const { shard, view } = this.#find(index, images.subarray(row * pixels, (row + 1) * pixels))
        bytes.set(await (this.#shards[shard] as SafetensorsFile).rows('features', view, view + 1), row * stride)
      })
    )
    return addon().tensor(result, 'float16', [indices.length, tokens, width], 'cpu')
  }

  #find(index: number, pixels: Uint8Array): { shard: number; view: number } {
    const shard = Math.floor(index / this.#perShard)
    const first = (index % this.#perShard) * this.#views
    const hash = hashOf(pixels)
    for (let view = first; view < first + this.#views; view++) {
      const cached = (this.#hashes[shard] as Uint8Array).subarray(view * hashBytes, (view + 1) * hashBytes)
      if (hash.equals(cached)) return { shard, view }
    }
    const cause = 'its file has changed, or training crops it'
    throw new MactokError(
      'ERR_FORMAT',
      `Image ${index} is not what the teacher's features were computed from: ${cause}. ` +
        'Delete the cache, or train without teacher.cache.'
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()))
  }
}

interface Layout {
  folder: string
  identity: string
  views: number
  perShard: number
  shape: readonly [tokens: number, width: number]
}

async function layoutOf({ folder, set, teacher, size, flip, precision }: FeatureCacheOptions): Promise<Layout> {
  const { config } = teacher
  const teacherHash = await teacher.identity()
  const names = createHash('sha256')
  for (let i = 0; i < set.size; i++) names.update(`${set.sample(i).name}\n`)
  const { grid, patchSize } = config
  const contents = {
    formatVersion: 1,
    teacherHash,
    grid,
    patchSize,
    size,
    flip,
    precision,
    names: names.digest('hex')
  }
  const identity = createHash('sha256').update(JSON.stringify(contents)).digest('hex')
  const shape = [1 + grid ** 2, config.vit.width] as const
  const views = flip ? 2 : 1
  const perShard = Math.max(1, Math.floor(shardBytes / (views * shape[0] * shape[1] * 2)))
  return { folder: join(folder, identity.slice(0, 16)), identity, views, perShard, shape }
}

/** Opens a shard of `count` images; null where it is missing. */
async function openShard(file: string, count: number, { identity, views }: Layout): Promise<SafetensorsFile | null> {
  if ((await fileSize(file)) === undefined) return null
  const shard = await readSafetensors(file)
  if (shard.metadata.identity === identity && shard.info('pixels').shape[0] === count * views) return shard
  await shard.close()
  throw new MactokError('ERR_FORMAT', `${file} does not belong to its folder's features: delete it`)
}

interface ShardPart {
  /** Its images are [first, end). */
  first: number
  end: number
  /** The state of their files; undefined where it is not known. */
  inputs: string | undefined
  /** The shard as it was before some of its files changed. */
  earlier: SafetensorsFile | null
}

/**
 * Computes and writes a shard; unreadable images get a hash of zeros. Features of batches whose pixels are as before are
 * taken from the earlier shard. False when interrupted.
 */
async function computeShard(
  file: string,
  { first, end, inputs, earlier }: ShardPart,
  { identity, views, shape: [tokens, width] }: Layout,
  { set, teacher, size, precision, onProgress, onBroken, signal }: FeatureCacheOptions
): Promise<boolean> {
  const rows = (end - first) * views
  const features = new Uint16Array(rows * tokens * width)
  const pixels = new Uint8Array(rows * hashBytes)
  const before = await earlier?.bytes('pixels')
  const isAsBefore = (place: number) => {
    const [from, to] = [place * hashBytes, (place + 1) * hashBytes]
    return before !== undefined && Buffer.compare(before.subarray(from, to), pixels.subarray(from, to)) === 0
  }
  for await (const { images, indices } of evaluationBatches(set, {
    size,
    batch: BATCH,
    start: first,
    end,
    whole: true,
    ...(onBroken && { onBroken })
  })) {
    if (signal?.aborted) return false
    for (const [view, shown] of (views === 2 ? [images, mirrorPixels(images, size)] : [images]).entries()) {
      const places = Array.from(indices, (index) => (index - first) * views + view)
      const bytes = size * size * 3
      for (const [row, place] of places.entries()) {
        pixels.set(hashOf(shown.subarray(row * bytes, (row + 1) * bytes)), place * hashBytes)
      }
      if (earlier && places.every(isAsBefore)) {
        for (const place of places) {
          const stored = await earlier.rows('features', place, place + 1)
          new Uint8Array(features.buffer).set(stored, place * tokens * width * 2)
        }
        continue
      }
      const computed = await viewFeatures(teacher, shown, indices.length, size, precision)
      for (const [row, place] of places.entries()) {
        features.set(computed.cls.subarray(row * width, (row + 1) * width), place * tokens * width)
        const patches = (tokens - 1) * width
        features.set(computed.patches.subarray(row * patches, (row + 1) * patches), (place * tokens + 1) * width)
      }
    }
    onProgress?.((indices.at(-1) as number) + 1, set.size)
  }
  const tensors = [
    { name: 'features', dtype: 'float16', shape: [rows, tokens, width], data: features },
    { name: 'pixels', dtype: 'uint8', shape: [rows, hashBytes], data: pixels }
  ] as const
  await writeSafetensors(file, tensors, inputs === undefined ? { identity } : { identity, inputs })
  return true
}

async function viewFeatures(
  teacher: Teacher,
  images: Uint8Array,
  count: number,
  size: number,
  precision: Precision
): Promise<{ cls: Uint16Array; patches: Uint16Array }> {
  const input = addon().tensor(images, 'uint8', [count, size, size, 3], 'cpu')
  const { cls, patches } = await native(teacher.native.features(input, precision))
  try {
    const halves = async (tensor: NativeTensor) => {
      const half = await native(tensor.to('cpu', 'float16'))
      const values = new Uint16Array(await native(half.read()))
      half.dispose()
      return values
    }
    return { cls: await halves(cls), patches: await halves(patches) }
  } finally {
    for (const tensor of [input, cls, patches]) tensor.dispose()
  }
}
