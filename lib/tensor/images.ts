import { invalidParameter, outOfRange } from '../errors.js'
import type { Precision } from '../native/addon.js'
import { precisions } from './settings.js'
import { Tensor } from './tensor.js'

/** Images: uint8 [B, H, W, 3], or float32 [B, 3, H, W] in [-1, 1]. */
export type Images = Tensor<'uint8'> | Tensor<'float32'>

const layout = 'a uint8 tensor [B, H, W, 3] or a float32 tensor [B, 3, H, W]'

/** Checks dtype and shape; with `size`, images must be squares of that side. */
export function checkImages(images: unknown, size?: number): asserts images is Images {
  if (!(images instanceof Tensor)) throw invalidParameter('images', layout, images)
  const { dtype, shape } = images
  const channelsLast = dtype === 'uint8'
  const fits = (channelsLast || dtype === 'float32') && shape.length === 4 && shape[channelsLast ? 3 : 1] === 3
  if (!fits || shape.includes(0)) throw invalidParameter('images', layout, `${dtype} [${shape}]`)
  const [height, width] = channelsLast ? shape.slice(1, 3) : shape.slice(2)
  if (size !== undefined && (height !== size || width !== size)) {
    throw outOfRange('images', `images of ${size} × ${size} pixels`, `${height} × ${width}`)
  }
}

export function checkPrecision(precision: unknown): asserts precision is Precision {
  if (!(precisions as readonly unknown[]).includes(precision))
    throw outOfRange('precision', 'fp32, tf32 or bf16', precision)
}
