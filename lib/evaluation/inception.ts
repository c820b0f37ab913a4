import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { object } from '../checks.js'
import { parseConfig } from '../config.js'
import { isFolder, stampOf } from '../files/stat.js'
import type { NativeInception, Precision } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Owned } from '../native/owned.js'
import { checkImages, type Images } from '../tensor/images.js'
import { Tensor } from '../tensor/tensor.js'
import { openInception } from '../weights/inception.js'
import { modelFile } from '../weights/locate.js'
import { loadNew } from '../weights/state.js'
import type { InceptionInput } from './metric-names.js'
import { inceptionSchema } from './schema.js'

export interface InceptionOptions extends z.input<typeof inceptionSchema> {
  device?: string | undefined
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

/** The Inception-v3 whose features images are compared by. */
export class Inception implements Disposable {
  readonly #network: Owned<NativeInception>

  private constructor(
    network: NativeInception,
    /** Classes of its classifier; 0 without one. */
    readonly classes: number,
    readonly input: InceptionInput,
    readonly precision: Precision,
    /** @internal Identifies its weights' file. */
    readonly key: string
  ) {
    this.#network = new Owned(network, 'Inception')
  }

  /** @throws {MactokError} ERR_FORMAT when the weights are not found, with how to get them, or are another network's */
  static async load(options: InceptionOptions = {}): Promise<Inception> {
    object('options', 'an object', options)
    const { device: wanted, ...settings } = options
    const { weights, input, precision } = parseConfig(inceptionSchema, settings)
    const device = resolveDevice(wanted)
    await using checkpoint = await openInception(weights)
    const network = await native(addon().createInception(checkpoint.classes, device))
    await loadNew(network, checkpoint.weights)
    const { path } = checkpoint
    const file = (await isFolder(path)) ? join(path, modelFile) : path
    return new Inception(network, checkpoint.classes, input, precision, `${path} ${stampOf(await stat(file))}`)
  }

  get device(): string {
    return this.#network.handle.device
  }

  /** Features of images of any size, uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1]. */
  async features(images: Images): Promise<InceptionFeatures> {
    const network = this.#network.handle
    checkImages(images)
    const { pool, spatial, probabilities } = await native(network.features(images.native, this.input, this.precision))
    return {
      pool: Tensor.wrap(pool),
      spatial: Tensor.wrap(spatial),
      probabilities: probabilities && Tensor.wrap(probabilities)
    }
  }

  dispose(): void {
    this.#network.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
