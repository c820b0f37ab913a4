import type { NpzFile } from '../files/npz-reader.js'
import { concatenate, type Tensor, tensor } from '../tensor/tensor.js'
import { type Arrays, type Gaussian, Moments } from './gaussian.js'

/** Statistics of features that arrive batch by batch: mean and covariance, and where requested all of them. */
export class FeatureStatistics implements Disposable {
  readonly #moments: Moments
  readonly #kept: Tensor<'float32'>[] | null
  readonly #device: string

  private constructor(moments: Moments, device: string, keep: boolean) {
    this.#moments = moments
    this.#device = device
    this.#kept = keep ? [] : null
  }

  /** @param keep - whether all features are kept, 4 bytes each */
  static async create(width: number, device: string, keep = false): Promise<FeatureStatistics> {
    return new FeatureStatistics(await Moments.create(width, device), device, keep)
  }

  /** values: [B, D] */
  async add(values: Float32Array): Promise<void> {
    const features = this.#upload(values)
    await this.#moments.add(features)
    if (this.#kept) this.#kept.push(features)
    else features.dispose()
  }

  #upload(values: Float32Array): Tensor<'float32'> {
    const { width } = this.#moments
    return tensor(values, [values.length / width, width], { dtype: 'float32', device: this.#device })
  }

  gaussian(): Promise<Gaussian> {
    return this.#moments.gaussian()
  }

  /** All features, [N, D]; null where they were not kept. */
  async features(): Promise<Tensor<'float32'> | null> {
    return this.#kept && concatenate(this.#kept)
  }

  /** Arrays for `load`, their names with a prefix. */
  async state(prefix: string): Promise<Arrays> {
    const arrays = await this.#moments.state(prefix)
    using features = this.#kept?.length ? await this.features() : null
    if (features) arrays[`${prefix}features`] = { shape: features.shape, data: await features.toFloat32() }
    return arrays
  }

  /** Whether a file has what `load` needs, for this number of images. */
  async fits(file: NpzFile, prefix: string, images: number): Promise<boolean> {
    const { width } = this.#moments
    const has = async (name: string, shape: readonly number[]) =>
      file.has(`${prefix}${name}`) && `${(await file.describe(`${prefix}${name}`)).shape}` === `${shape}`
    if (!(await has('mean', [width]))) return false
    return !this.#kept || images === 0 || (await has('features', [images, width]))
  }

  async load(file: NpzFile, prefix: string): Promise<void> {
    const numbers = async (name: string) => (await file.numbers(`${prefix}${name}`)).data
    await this.#moments.load({
      count: await numbers('count'),
      mean: await numbers('mean'),
      scatter: await numbers('scatter')
    })
    if (!this.#kept || !file.has(`${prefix}features`)) return
    const { data } = await file.floats(`${prefix}features`)
    this.#kept.push(this.#upload(data))
  }

  dispose(): void {
    this.#moments.dispose()
    for (const part of this.#kept ?? []) part.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
