import { MactokError, outOfRange } from '../errors.js'
import type { NativeInception, Precision } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { checkImages, checkPrecision, type Images } from '../tensor/images.js'
import { Tensor } from '../tensor/tensor.js'
import { inceptionName, openInception } from '../weights/inception.js'
import { loadInto } from '../weights/state.js'

/**
 * How images reach 299 × 299: `pytorch` as pytorch-fid does, `tensorflow` as ADM's evaluator (TensorFlow 1), whose published
 * statistics are only comparable with the latter.
 */
export type InceptionInput = (typeof inceptionInputs)[number]
export const inceptionInputs = ['pytorch', 'tensorflow'] as const

export interface InceptionOptions {
  /** A name or a path. Default `inception-fid`. */
  weights?: string
  device?: string
  /** Default `pytorch`. */
  input?: InceptionInput
  /** Default `fp32`. */
  precision?: Precision
}

export interface InceptionFeatures {
  /** [B, 2048], what FID, precision and recall compare. */
  pool: Tensor<'float32'>
  /** [B, 2023], what sFID compares. */
  spatial: Tensor<'float32'>
  /** [B, classes]; null without a classifier. */
  probabilities: Tensor<'float32'> | null
}

export const POOL = 2048
export const SPATIAL = 17 * 17 * 7

/** The Inception-v3 by which images are compared. */
export class Inception implements Disposable {
  readonly #native: NativeInception
  #disposed = false

  private constructor(
    network: NativeInception,
    /** Of its classifier; 0 without one. */
    readonly classes: number,
    readonly input: InceptionInput,
    readonly precision: Precision
  ) {
    this.#native = network
  }

  /** @throws {MactokError} ERR_FORMAT when the weights are not found, with how to get them, or are another network's */
  static async load(options: InceptionOptions = {}): Promise<Inception> {
    const { weights = inceptionName, input = 'pytorch', precision = 'fp32' } = options
    if (!inceptionInputs.includes(input)) throw outOfRange('input', 'pytorch or tensorflow', input)
    checkPrecision(precision)
    const device = resolveDevice(options.device)
    await using checkpoint = await openInception(weights)
    const network = await native(addon().createInception(checkpoint.classes, device))
    await loadInto(network, checkpoint.weights)
    return new Inception(network, checkpoint.classes, input, precision)
  }

  get device(): string {
    return this.#native.device
  }

  /** Features of images of any size, uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1]. */
  async features(images: Images): Promise<InceptionFeatures> {
    if (this.#disposed) throw new MactokError('ERR_DISPOSED', 'This Inception is disposed')
    checkImages(images)
    const { pool, spatial, probabilities } = await native(
      this.#native.features(images.native, this.input, this.precision)
    )
    return {
      ...{ pool: Tensor.wrap(pool), spatial: Tensor.wrap(spatial) },
      probabilities: probabilities && Tensor.wrap(probabilities)
    }
  }

  dispose(): void {
    this.#disposed = true
    this.#native.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
