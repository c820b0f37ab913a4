import type { z } from 'zod'
import { object } from '../checks.js'
import { parseConfig } from '../config.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Teacher } from '../teacher/teacher.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { dinov2Schema } from './schema.js'

export interface Dinov2Options extends z.input<typeof dinov2Schema> {
  device?: string | undefined
}

/** Patches per side of 224-pixel images. */
const GRID = 16

/**
 * A DINOv2 whose features images are compared by, as dgm-eval does (Stein et al. 2023): the class token after the final norm, of
 * images resized to 224 × 224 pixels by Pillow's bicubic and normalised by ImageNet's statistics. Published numbers are ViT-L/14's;
 * distances of different sizes cannot be compared.
 */
export class Dinov2 implements Disposable {
  readonly #teacher: Teacher
  #identity: Promise<string> | undefined

  private constructor(
    teacher: Teacher,
    /** The weights' name or path. */
    readonly name: string,
    readonly precision: z.output<typeof dinov2Schema>['precision']
  ) {
    this.#teacher = teacher
  }

  /** @throws {MactokError} ERR_FORMAT when the weights are not found, with how to get them, or are another network's */
  static async load(options: Dinov2Options = {}): Promise<Dinov2> {
    object('options', 'an object', options)
    const { device, ...settings } = options
    const { weights, precision } = parseConfig(dinov2Schema, settings)
    return new Dinov2(await Teacher.load(weights, { grid: GRID, device: resolveDevice(device) }), weights, precision)
  }

  /** D: 384, 768, 1024 or 1536. */
  get width(): number {
    return this.#teacher.config.vit.width
  }

  get device(): string {
    return this.#teacher.device
  }

  /** @internal Identifies its weights, which are read once for it. */
  identity(): Promise<string> {
    this.#identity ??= this.#teacher.identity()
    return this.#identity
  }

  /** Features [B, D] of images of any size, uint8 [B, H, W, 3]. */
  async features(images: Tensor<'uint8'>): Promise<Tensor<'float32'>> {
    const [count, height, width] = images.shape as [number, number, number]
    const side = GRID * this.#teacher.config.patchSize
    const pixels = await images.data()
    const resized = new Uint8Array(count * side * side * 3)
    const target = { width: side, height: side, left: 0, top: 0, windowWidth: side, windowHeight: side }
    await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const from = pixels.subarray(i * height * width * 3, (i + 1) * height * width * 3)
        const into = resized.subarray(i * side * side * 3, (i + 1) * side * side * 3)
        return native(addon().resample(from, width, height, { filter: 'bicubic', ...target, mirror: false }, into))
      })
    )
    using input = tensor(resized, [count, side, side, 3], { dtype: 'uint8' })
    const { cls, patches } = await this.#teacher.features(input, { precision: this.precision })
    patches.dispose()
    return cls
  }

  dispose(): void {
    this.#teacher.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
