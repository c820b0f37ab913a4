import { createHash } from 'node:crypto'
import { integerWithin } from '../checks.js'
import { checkOptions } from '../config.js'
import type { NativeTeacher, Precision } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Owned } from '../native/owned.js'
import { checkImages, checkPrecision, type Images } from '../tensor/images.js'
import { defaultPrecision } from '../tensor/settings.js'
import { mostGridSide, mostPatchSide } from '../tensor/sizes.js'
import { Tensor } from '../tensor/tensor.js'
import { type Dinov2Config, openDinov2 } from '../weights/dinov2.js'
import { fitDinov2 } from '../weights/fit.js'
import { hashState, loadNew } from '../weights/state.js'

export interface TeacherOptions {
  /** Patches per side of its features: the tokenizer's grid, 16 for 256-pixel images with patches of 16. */
  grid: number
  /** Side of a patch in pixels. Default: the checkpoint's (14). Any other resamples the kernel, as SoftVQ does. */
  patchSize?: number | null
  /** Default `auto`. */
  device?: string
}

export interface TeacherFeatures {
  /** [B, D], after the final norm. */
  cls: Tensor<'float32'>
  /** [B, grid², D], row by row. */
  patches: Tensor<'float32'>
}

/**
 * A frozen DINOv2 (with or without registers): ranks patches for semantic masks, and is the target of alignment.
 * Images are resized to grid · patchSize pixels (bicubic without antialias, as REPA) and normalised by ImageNet's
 * statistics.
 */
export class Teacher implements Disposable {
  readonly #network: Owned<NativeTeacher>

  private constructor(
    network: NativeTeacher,
    readonly config: Dinov2Config
  ) {
    this.#network = new Owned(network, 'teacher')
  }

  /** @internal The native handle. Throws ERR_DISPOSED after `dispose()`. */
  get native(): NativeTeacher {
    return this.#network.handle
  }

  /**
   * @param weights - a name for `mactok weights pull` such as `dinov2-small`, or a path that begins with . or /
   * @throws {MactokError} ERR_FORMAT when the weights are not found or not DINOv2's
   */
  static async load(weights: string, options: TeacherOptions): Promise<Teacher> {
    const { grid, patchSize = null } = options ?? {}
    checkOptions(options ?? {}, { grid: true, patchSize: true, device: true })
    integerWithin('grid', 1, mostGridSide, grid)
    if (patchSize !== null) integerWithin('patchSize', 1, mostPatchSide, patchSize)
    const device = resolveDevice(options.device)
    await using checkpoint = await openDinov2(weights)
    const { config } = checkpoint
    const fitted = { ...config, grid, patchSize: patchSize ?? config.patchSize }
    const inputSize = grid * fitted.patchSize
    const network = await native(
      addon().createTeacher({ vit: config.vit, patchSize: fitted.patchSize, inputSize }, device)
    )
    await loadNew(network, checkpoint.weights, { fit: (state) => fitDinov2(state, config, fitted) })
    return new Teacher(network, fitted)
  }

  get device(): string {
    return this.native.device
  }

  /** Computes features of images, uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1]. */
  async features(images: Images, options: { precision?: Precision } = {}): Promise<TeacherFeatures> {
    checkImages(images)
    checkOptions(options, { precision: true })
    const { precision = defaultPrecision } = options
    checkPrecision(precision)
    const { cls, patches } = await native(this.native.features(images.native, precision))
    return { cls: Tensor.wrap(cls), patches: Tensor.wrap(patches) }
  }

  /** Cosine similarity of `cls` with each patch, [B, grid²] row by row: semantic masks hide the highest first. */
  async similarity(images: Images, options: { grid?: number; precision?: Precision } = {}): Promise<Tensor<'float32'>> {
    checkImages(images)
    checkOptions(options, { grid: true, precision: true })
    const { grid = this.config.grid, precision = defaultPrecision } = options
    checkPrecision(precision)
    integerWithin('grid', 1, mostGridSide, grid)
    return Tensor.wrap(await native(this.native.similarity(images.native, grid, precision)))
  }

  /** @internal SHA-256 of the weights after resampling. */
  async identity(): Promise<string> {
    const hash = createHash('sha256')
    await hashState(hash, this.native.state())
    return hash.digest('hex')
  }

  /** Frees the weights. Safe to call repeatedly. */
  dispose(): void {
    this.#network.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
