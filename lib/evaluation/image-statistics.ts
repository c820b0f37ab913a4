import { NpzFile } from '../files/npz-reader.js'
import { writeNpz } from '../files/npz-writer.js'
import type { Tensor } from '../tensor/tensor.js'
import { FeatureStatistics } from './feature-statistics.js'
import type { Arrays, Gaussian } from './gaussian.js'
import type { ImageFeatures } from './image-features.js'
import { POOL, SPATIAL } from './inception.js'
import { InceptionScore } from './inception-score.js'
import type { FeatureNetwork } from './metric-names.js'
import type { Networks } from './networks.js'

export interface StatisticsOptions {
  /** Also gather sFID's features. Default false. */
  spatial?: boolean
  /** Networks of which every image's features are kept, 8 KB each of Inception's. Default none. */
  features?: readonly FeatureNetwork[]
}

/** Means and covariances of images' features; null: not gathered. */
export interface Gaussians {
  pool: Gaussian | null
  spatial: Gaussian | null
  dinov2: Gaussian | null
}

export const disposeGaussians = (gaussians: Gaussians): void => {
  for (const each of Object.values(gaussians) as (Gaussian | null)[]) each?.[Symbol.dispose]()
}

type Part = 'pool' | 'spatial' | 'dinov2'

/**
 * The statistics that a distribution of images is compared by, accumulated batch by batch; no image is kept. Can be saved to a file
 * and resumed from it.
 */
export class ImageStatistics implements Disposable {
  readonly #parts: Partial<Record<Part, FeatureStatistics>>
  readonly #score: InceptionScore | null
  #images = 0

  private constructor(networks: Networks, parts: Partial<Record<Part, FeatureStatistics>>) {
    const { inception } = networks
    this.#parts = parts
    this.#score = inception && inception.classes > 0 ? new InceptionScore(inception.classes) : null
  }

  static async create(networks: Networks, options: StatisticsOptions = {}): Promise<ImageStatistics> {
    const { spatial = false, features = [] } = options
    const { inception, dinov2 } = networks
    const parts: Partial<Record<Part, FeatureStatistics>> = {}
    if (inception) {
      parts.pool = await FeatureStatistics.create(POOL, inception.device, features.includes('inception'))
      if (spatial) parts.spatial = await FeatureStatistics.create(SPATIAL, inception.device)
    }
    if (dinov2) {
      parts.dinov2 = await FeatureStatistics.create(dinov2.width, dinov2.device, features.includes('dinov2'))
    }
    return new ImageStatistics(networks, parts)
  }

  /** Images so far. */
  get images(): number {
    return this.#images
  }

  /** The Inception score so far; null without a classifier. */
  get inceptionScore(): number | null {
    return this.#score?.result() ?? null
  }

  /** Adds a batch's features, as `extractFeatures` makes them. */
  async add({ images, probabilities, ...features }: ImageFeatures): Promise<void> {
    for (const [name, part] of Object.entries(this.#parts) as [Part, FeatureStatistics][]) {
      await part.add(features[name] as Float32Array)
    }
    if (probabilities) this.#score?.add(probabilities)
    this.#images += images
  }

  async gaussians(): Promise<Gaussians> {
    const { pool, spatial, dinov2 } = this.#parts
    return {
      pool: (await pool?.gaussian()) ?? null,
      spatial: (await spatial?.gaussian()) ?? null,
      dinov2: (await dinov2?.gaussian()) ?? null
    }
  }

  /** All features of a network, [N, D]; null where they were not kept. */
  async features(network: FeatureNetwork): Promise<Tensor<'float32'> | null> {
    return (await this.#parts[network === 'inception' ? 'pool' : 'dinov2']?.features()) ?? null
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
      ...(this.#score && { score: this.#score.state() })
    }
    for (const [name, part] of Object.entries(this.#parts)) Object.assign(arrays, await part.state(`${name}.`))
    await writeNpz(file, arrays)
  }

  /** Loads what `save` wrote under the same key; returns the position of the next image, 0 where there is no such file. */
  async resume(file: string, key: string): Promise<number> {
    const archive = await NpzFile.open(file).catch(() => null)
    if (!archive) return 0
    await using saved = archive
    const numbers = async (name: string) => (await saved.numbers(name)).data
    if (!saved.has('key') || String.fromCharCode(...(await numbers('key'))) !== key) return 0
    const [images, position] = (await numbers('progress')) as unknown as [number, number]
    if (this.#score && !saved.has('score')) return 0
    for (const [name, part] of Object.entries(this.#parts)) {
      if (!(await part.fits(saved, `${name}.`, images))) return 0
    }
    for (const [name, part] of Object.entries(this.#parts)) await part.load(saved, `${name}.`)
    this.#score?.load(await numbers('score'))
    this.#images = images
    return position
  }

  dispose(): void {
    for (const part of Object.values(this.#parts)) part.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
