/** Between tensors and images as pixels or as files. */

import { instance, isRecord, positive, text } from '../checks.js'
import { checkOptions } from '../config.js'
import { decode, type Image } from '../data/decode.js'
import { encodePng } from '../data/image.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { isFloating } from '../tensor/promotion.js'
import { show } from '../tensor/shapes.js'
import { Operations, type Tensor, tensor } from '../tensor/tensor.js'

export interface FromImagesOptions {
  /** `cpu` (default), `cuda` or `cuda:<index>`. */
  device?: string
}

const layout = 'a tensor of floats [B, 3, H, W] or [3, H, W], or of uint8 [B, H, W, 3] or [H, W, 3]'

/**
 * Images of one size as float32 [B, 3, H, W] in [-1, 1].
 * @param images - pixels, or the bytes of files (JPEG, PNG, WebP, AVIF, TIFF, GIF)
 * @throws {MactokError} ERR_FORMAT for a file that cannot be decoded
 */
export async function fromImages(
  images: readonly (Image | Uint8Array)[],
  options: FromImagesOptions = {}
): Promise<Tensor<'float32'>> {
  checkOptions(options, { device: true })
  const { device = 'cpu' } = options
  text('device', 'cpu, cuda, cuda:<index> or mps', device)
  if (!Array.isArray(images) || images.length === 0) throw invalidParameter('images', 'one or more images', images)
  // A sparse array's holes are visited, too.
  const decoded = await Promise.all(Array.from(images, (image, i) => toPixels(`images[${i}]`, image)))
  const { width, height } = decoded[0] as Image
  const bytes = new Uint8Array(decoded.length * width * height * 3)
  for (const [i, image] of decoded.entries()) {
    if (image.width !== width || image.height !== height) {
      throw outOfRange(
        `images[${i}]`,
        `${width} × ${height} pixels as the first one`,
        `${image.width} × ${image.height}`
      )
    }
    bytes.set(image.data, i * width * height * 3)
  }
  using levels = tensor(bytes, [decoded.length, height, width, 3], { device })
  return await levels.permute([0, 3, 1, 2]).to({ dtype: 'float32' }).div(127.5).sub(1)
}

async function toPixels(name: string, image: unknown): Promise<Image> {
  if (image instanceof Uint8Array) return decode(Buffer.from(image.buffer, image.byteOffset, image.byteLength))
  const expected = '{ data, width, height } with 3 bytes per pixel, or the bytes of a file'
  if (!isRecord(image) || !(image.data instanceof Uint8Array)) throw invalidParameter(name, expected, image)
  const { data, width, height } = image as unknown as Image
  positive(`${name}.width`, width)
  positive(`${name}.height`, height)
  if (data.length === 0 || data.length !== width * height * 3) throw outOfRange(name, expected, image)
  return { data, width, height }
}

/**
 * Images as pixels: values in [-1, 1] become 256 levels, those outside are clamped, NaN is black.
 * @param images - floats [B, 3, H, W], about [-1, 1], or uint8 [B, H, W, 3]; one image without B
 */
export async function toImages(images: Operations): Promise<Image[]> {
  instance('images', layout, Operations, images)
  const { dtype, shape } = images
  const isBytes = dtype === 'uint8'
  const channels = isBytes ? shape.at(-1) : shape.at(-3)
  const fits = (shape.length === 3 || shape.length === 4) && channels === 3 && !shape.includes(0)
  if (!(isBytes || isFloating(dtype))) throw invalidParameter('images', layout, `${dtype} ${show(shape)}`)
  if (!fits) throw outOfRange('images', layout, `${dtype} ${show(shape)}`)
  const [height, width] = (isBytes ? shape.slice(-3, -1) : shape.slice(-2)) as [number, number]
  const bytes = (await (isBytes ? images : toLevels(images)).data()) as Uint8Array
  const size = height * width * 3
  return Array.from({ length: bytes.length / size }, (_, i) => ({
    data: bytes.subarray(i * size, (i + 1) * size),
    width,
    height
  }))
}

/** The levels of lib/data/levels.ts, channels last; on the CPU, where they go anyway and which has float64. */
function toLevels(images: Operations): Operations<'uint8'> {
  const values = images.to({ device: 'cpu' }).to({ dtype: 'float64' })
  const levels = values.add(1).mul(127.5).add(0.5).floor().clamp(0, 255)
  const rank = images.shape.length
  return levels
    .isNaN()
    .where(0, levels)
    .to({ dtype: 'uint8' })
    .permute([...(rank === 4 ? [0] : []), -2, -1, -3])
}

/** The same for one image. */
export async function toImage(image: Operations): Promise<Image> {
  const [first, ...others] = await toImages(image)
  if (!first || others.length > 0) throw outOfRange('image', 'one image', `${others.length + 1}`)
  return first
}

/** One image as the bytes of a PNG. */
export const toPng = async (image: Operations): Promise<Buffer> => encodePng(await toImage(image))
