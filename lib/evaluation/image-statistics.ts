import { NpzFile } from '../files/npz-reader.js'
import { writeNpz } from '../files/npz-writer.js'
import type { Images } from '../tensor/images.js'
import { concatenate, type Tensor, tensor } from '../tensor/tensor.js'
import { type Arrays, type Gaussian, Moments } from './gaussian.js'
import { type Inception, POOL, SPATIAL } from './inception.js'
import { InceptionScore } from './inception-score.js'

export interface StatisticsOptions {
  /** Also gather sFID's features. Default false. */
  spatial?: boolean
  /** Also keep every image's features, 8 KB each, for precision and recall. Default false. */
  features?: boolean
}

/**
 * The statistics that a distribution of images is compared by, accumulated batch by batch; no image is kept. Can be saved to a file
 * and resumed from it.
 */
export class ImageStatistics implements Disposable {
  readonly #inception: Inception
  readonly #pool: Moments
  readonly #spatial: Moments | null
  readonly #score: InceptionScore | null
  readonly #features: Tensor<'float32'>[] | null
  #images = 0

  private constructor(inception: Inception, pool: Moments, spatial: Moments | null, features: boolean) {
    this.#inception = inception
    this.#pool = pool
    this.#spatial = spatial
    this.#score = inception.classes > 0 ? new InceptionScore(inception.classes) : null
    this.#features = features ? [] : null
  }

  static async create(inception: Inception, options: StatisticsOptions = {}): Promise<ImageStatistics> {
    const { spatial = false, features = false } = options
    const { device } = inception
    const pool = await Moments.create(POOL, device)
    return new ImageStatistics(inception, pool, spatial ? await Moments.create(SPATIAL, device) : null, features)
  }

  /** Images so far. */
  get images(): number {
    return this.#images
  }

  /** The Inception score so far; null without a classifier. */
  get inceptionScore(): number | null {
    return this.#score?.result() ?? null
  }

  /** Images uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1]. */
  async add(images: Images): Promise<void> {
    const { pool, spatial, probabilities } = await this.#inception.features(images)
    using _ = spatial
    await this.#pool.add(pool)
    await this.#spatial?.add(spatial)
    if (probabilities) {
      this.#score?.add(await probabilities.toFloat32())
      probabilities.dispose()
    }
    if (this.#features) this.#features.push(pool)
    else pool.dispose()
    this.#images += images.shape[0] as number
  }

  /** Mean and covariance of FID's features; and of sFID's, where they were gathered. */
  async gaussians(): Promise<{ pool: Gaussian; spatial: Gaussian | null }> {
    return { pool: await this.#pool.gaussian(), spatial: this.#spatial && (await this.#spatial.gaussian()) }
  }

  /** All features, [N, 2048]; null where they were not kept. */
  async features(): Promise<Tensor<'float32'> | null> {
    return this.#features && concatenate(this.#features)
  }

  /**
   * Writes the statistics so far, for `resume`.
   * @param key - identifies the images; `resume` ignores a file with another key
   * @param position - of the next image
   */
  async save(file: string, key: string, position: number): Promise<void> {
    const text = Int32Array.from(key, (character) => character.charCodeAt(0))
    const arrays: Arrays = {
      key: { shape: [text.length], data: text },
      progress: { shape: [2], data: Float64Array.of(this.#images, position) },
      ...(await this.#pool.state('pool.')),
      ...(this.#spatial && (await this.#spatial.state('spatial.'))),
      ...(this.#score && { score: this.#score.state() })
    }
    using features = this.#features?.length ? await this.features() : null
    if (features) arrays.features = { shape: features.shape, data: await features.toFloat32() }
    await writeNpz(file, arrays)
  }

  /** Loads what `save` wrote under the same key; returns the position of the next image, 0 where there is no such file. */
  async resume(file: string, key: string): Promise<number> {
    const archive = await NpzFile.open(file).catch(() => null)
    if (!archive) return 0
    await using saved = archive
    const numbers = async (name: string) => (await saved.numbers(name)).data
    if (!saved.has('key') || String.fromCharCode(...(await numbers('key'))) !== key) return 0
    const needed = { 'spatial.mean': this.#spatial, features: this.#features, score: this.#score }
    if (Object.entries(needed).some(([name, wanted]) => wanted && !saved.has(name))) return 0
    const load = async (moments: Moments, prefix: string) =>
      moments.load({
        count: await numbers(`${prefix}count`),
        mean: await numbers(`${prefix}mean`),
        scatter: await numbers(`${prefix}scatter`)
      })
    await load(this.#pool, 'pool.')
    if (this.#spatial) await load(this.#spatial, 'spatial.')
    this.#score?.load(await numbers('score'))
    const [images, position] = (await numbers('progress')) as unknown as [number, number]
    if (this.#features) {
      if (`${(await saved.describe('features')).shape}` !== `${[images, POOL]}`) return 0
      const { shape, data } = await saved.floats('features')
      this.#features.push(tensor(data, shape, { dtype: 'float32', device: this.#inception.device }))
    }
    this.#images = images
    return position
  }

  dispose(): void {
    this.#pool.dispose()
    this.#spatial?.dispose()
    for (const part of this.#features ?? []) part.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
