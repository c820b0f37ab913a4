import type { Sharp } from 'sharp'
import { MactokError } from '../errors.js'
import { type LoadedSharp, loadSharp } from './sharp.js'

/** uint8 [height, width, 3], sRGB, rows from the top. */
export interface Image {
  data: Uint8Array
  width: number
  height: number
}

/**
 * As Pillow reads for the peers' scripts, plus EXIF orientation: embedded colour profiles are left aside, alpha is dropped (the
 * colours under it stay), ink times key for CMYK. Truncated data is an error; a decoder's warnings are not.
 */
const INPUT = { ignoreIcc: true, autoOrient: true, failOn: 'error' } as const

/**
 * Decodes the first frame of a JPEG, PNG, WebP, AVIF, TIFF or GIF. Throws ERR_FORMAT with what is wrong.
 * @param maxPixels - refuse larger images. Default: sharp's 268 million
 */
export function decode(bytes: Buffer, { maxPixels }: { maxPixels?: number } = {}): Promise<Image> {
  const input = maxPixels === undefined ? INPUT : { ...INPUT, limitInputPixels: maxPixels }
  return attempt(bytes, async (sharp) => {
    const { space } = await sharp(bytes, input).metadata()
    return space === 'cmyk' ? inked(sharp(bytes, input)) : pixels(sharp(bytes, input))
  })
}

/**
 * Decodes and crops to `size` × `size` in one go, with the decoder's own shrinking and libvips' resampling: faster than `decode`
 * and `centreCrop` for large images, and about one level of 255 away from them. CMYK and alpha are left to `decode`.
 */
export function decodeFast(bytes: Buffer, size: number): Promise<Image> {
  return attempt(bytes, async (sharp) => {
    const { space, hasAlpha } = await sharp(bytes).metadata()
    if (space === 'cmyk' || hasAlpha) return decode(bytes)
    return pixels(sharp(bytes, INPUT).resize(size, size, { fit: 'cover', kernel: 'cubic' }))
  })
}

async function attempt(bytes: Buffer, decoded: (sharp: LoadedSharp) => Promise<Image>): Promise<Image> {
  if (bytes.length === 0) throw new MactokError('ERR_FORMAT', 'empty file')
  const sharp = await loadSharp()
  try {
    return await decoded(sharp)
  } catch (cause) {
    const [line = ''] = String((cause as Error).message).split('\n')
    const unknown = line.includes('unsupported image format')
    throw new MactokError('ERR_FORMAT', unknown ? 'damaged, or not an image' : line.replace(/^Input buffer has /, ''), {
      cause
    })
  }
}

async function pixels(image: Sharp): Promise<Image> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}

/** (1 − ink)(1 − key), rounded, as Pillow converts. */
async function inked(image: Sharp): Promise<Image> {
  const inks = image.pipelineColourspace('cmyk').toColourspace('cmyk').raw({ depth: 'uchar' })
  const { data, info } = await inks.toBuffer({ resolveWithObject: true })
  const { width, height, channels } = info
  const rgb = new Uint8Array(width * height * 3)
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const light = 255 - (data[from + 3] as number)
    for (let c = 0; c < 3; c++) rgb[to++] = Math.round((light * (255 - (data[from + c] as number))) / 255)
  }
  return { data: rgb, width, height }
}
