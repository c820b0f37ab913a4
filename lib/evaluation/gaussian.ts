import { instance, isRecord, object, positive } from '../checks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import type { NpzData } from '../files/npz-writer.js'
import type { NativeMoments } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { requireHostMemory } from '../native/memory.js'
import { Owned } from '../native/owned.js'
import { Tensor, tensor } from '../tensor/tensor.js'

/** Mean [D] and unbiased covariance [D, D] of features, float64: what Fréchet distances compare. */
export interface Gaussian extends Disposable {
  mean: Tensor<'float64'>
  covariance: Tensor<'float64'>
}

export const gaussian = (mean: Tensor<'float64'>, covariance: Tensor<'float64'>): Gaussian => ({
  mean,
  covariance,
  [Symbol.dispose]: () => {
    mean.dispose()
    covariance.dispose()
  }
})

/**
 * |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)); works with fewer images than dimensions. What rounding leaves below zero, for
 * equal distributions, counts as 0.
 */
export async function frechetDistance(a: Gaussian, b: Gaussian): Promise<number> {
  const width = checkGaussian('a', a)
  if (checkGaussian('b', b) !== width) throw outOfRange('b', `features of ${width} dimensions`, b.mean.shape)
  const distance = addon().frechetDistance(a.mean.native, a.covariance.native, b.mean.native, b.covariance.native)
  return Math.max(0, await native(distance))
}

/** Returns D. */
function checkGaussian(name: string, gaussian: Gaussian): number {
  if (!isRecord(gaussian)) throw invalidParameter(name, 'a mean and a covariance', gaussian)
  const { mean, covariance } = gaussian
  instance(`${name}.mean`, 'a Tensor', Tensor, mean)
  instance(`${name}.covariance`, 'a Tensor', Tensor, covariance)
  const [width] = mean.shape
  for (const [part, { dtype, shape }, expected] of [
    ['mean', mean, [width]],
    ['covariance', covariance, [width, width]]
  ] as const) {
    if (dtype !== 'float64' || width === undefined || `${shape}` !== `${expected}`) {
      const wanted = part === 'mean' ? 'float64 [D]' : 'float64 [D, D]'
      throw invalidParameter(`${name}.${part}`, wanted, `${dtype} [${shape.join(', ')}]`)
    }
  }
  return width as number
}

/** Arrays by name, as `.npz` files hold them. */
export type Arrays = Record<string, { shape: readonly number[]; data: NpzData }>

/** Mean and covariance of rows, accumulated batch by batch in float64; can be merged, saved and loaded. */
export class Moments implements Disposable {
  readonly #moments: Owned<NativeMoments>

  private constructor(
    moments: NativeMoments,
    /** D */
    readonly width: number
  ) {
    this.#moments = new Owned(moments, 'Moments')
  }

  static async create(width: number, device = 'cpu'): Promise<Moments> {
    positive('width', width)
    const place = resolveDevice(device)
    // The mean of an impossible width would fill the memory first.
    if (place === 'cpu') requireHostMemory(`Moments of ${width} numbers`, 8 * width ** 2, 'give fewer')
    return new Moments(await native(addon().createMoments(width, place)), width)
  }

  /** rows: [B, D] */
  async add(rows: Tensor<'float32'> | Tensor<'float64'>): Promise<void> {
    instance('rows', 'a Tensor', Tensor, rows)
    return native(this.#moments.handle.add(rows.native))
  }

  /** Adds the rows of another one. */
  async merge(other: Moments): Promise<void> {
    instance('other', 'Moments', Moments, other)
    return native(this.#moments.handle.merge(other.#moments.handle))
  }

  /** The number of rows so far. */
  async count(): Promise<number> {
    return Number((await this.#read('count'))[0])
  }

  /** @throws {MactokError} ERR_FORMAT for fewer than two rows */
  async gaussian(): Promise<Gaussian> {
    const count = await this.count()
    if (count < 2) throw new MactokError('ERR_FORMAT', `A covariance needs at least 2 images, but there are ${count}`)
    const mean = tensor(await this.#read('mean'))
    return gaussian(mean, Tensor.wrap(await native(this.#moments.handle.covariance())))
  }

  async #read(name: string): Promise<Float64Array> {
    const state = this.#moments.handle.state()
    const values = state[name] as NonNullable<(typeof state)[string]>
    const buffer = await native(values.read())
    for (const one of Object.values(state)) one.dispose()
    return new Float64Array(buffer)
  }

  /** `count`, `mean` and `scatter`, with a prefix. */
  async state(prefix: string): Promise<Arrays> {
    if (typeof prefix !== 'string') throw invalidParameter('prefix', 'a text', prefix)
    const { width } = this
    const shapes = { count: [1], mean: [width], scatter: [width, width] }
    const entries = Object.entries(shapes).map(async ([name, shape]) => [
      `${prefix}${name}`,
      { shape, data: await this.#read(name) }
    ])
    return Object.fromEntries(await Promise.all(entries))
  }

  async load(values: { count: Float64Array; mean: Float64Array; scatter: Float64Array }): Promise<void> {
    object('values', 'arrays count, mean and scatter', values)
    const { width } = this
    const state = {
      count: addon().tensor(values.count, 'float64', [1], 'cpu'),
      mean: addon().tensor(values.mean, 'float64', [width], 'cpu'),
      scatter: addon().tensor(values.scatter, 'float64', [width, width], 'cpu')
    }
    await native(this.#moments.handle.load(state)).finally(() => {
      for (const one of Object.values(state)) one.dispose()
    })
  }

  dispose(): void {
    this.#moments.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
