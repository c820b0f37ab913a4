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
 * Reads as Pillow does in the peers' scripts, plus EXIF orientation: embedded colour profiles are ignored, alpha is
 * dropped (the colours under it stay), and CMYK is converted as ink times key. Truncated data is an error; a decoder's
 * warnings are not.
 */
const inputOptions = { ignoreIcc: true, autoOrient: true, failOn: 'error' } as const

/**
 * Decodes the first frame of a JPEG, PNG, WebP, AVIF, TIFF or GIF.
 * @param maxPixels - refuses larger images. Default: sharp's 268 million
 * @throws {MactokError} ERR_FORMAT, saying what is wrong with the file
 */
export function decode(bytes: Buffer, { maxPixels }: { maxPixels?: number } = {}): Promise<Image> {
  const input = maxPixels === undefined ? inputOptions : { ...inputOptions, limitInputPixels: maxPixels }
  return decodeWith(bytes, async (sharp) => {
    const { space } = await sharp(bytes, input).metadata()
    return space === 'cmyk' ? convertCmyk(sharp(bytes, input)) : toRgb(sharp(bytes, input))
  })
}

/**
 * Decodes and crops to `size` × `size` in one step, shrinking while decoding and resampling with libvips: for large
 * images faster than `decode` and `centreCrop`, and about one level of 255 away from them. Images with CMYK or alpha go
 * to `decode`.
 */
export function decodeFast(bytes: Buffer, size: number): Promise<Image> {
  return decodeWith(bytes, async (sharp) => {
    const { space, hasAlpha } = await sharp(bytes).metadata()
    if (space === 'cmyk' || hasAlpha) return decode(bytes)
    return toRgb(sharp(bytes, inputOptions).resize(size, size, { fit: 'cover', kernel: 'cubic' }))
  })
}

/** Turns whatever sharp throws into an ERR_FORMAT of one line. */
async function decodeWith(bytes: Buffer, run: (sharp: LoadedSharp) => Promise<Image>): Promise<Image> {
  if (bytes.length === 0) throw new MactokError('ERR_FORMAT', 'empty file')
  const sharp = await loadSharp()
  try {
    return await run(sharp)
  } catch (cause) {
    const [line = ''] = String((cause as Error).message).split('\n')
    const unknown = line.includes('unsupported image format')
    throw new MactokError('ERR_FORMAT', unknown ? 'damaged, or not an image' : line.replace(/^Input buffer has /, ''), {
      cause
    })
  }
}

async function toRgb(image: Sharp): Promise<Image> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}

/** (1 − ink)(1 − key), rounded, as Pillow converts CMYK. */
async function convertCmyk(image: Sharp): Promise<Image> {
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
