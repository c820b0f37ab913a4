import type { Metadata, Sharp } from 'sharp'
import { MactokError } from '../errors.js'
import { Budget } from './budget.js'
import { isImage } from './formats.js'
import { hiddenColour } from './gif.js'
import { type Header, readHeader } from './header.js'
import { type LoadedSharp, loadSharp } from './sharp.js'

/** uint8 [height, width, 3], sRGB, rows from the top. */
export interface Image {
  data: Uint8Array
  width: number
  height: number
}

export interface DecodeOptions {
  /** Refuses larger images. Default: 64 million. */
  maxPixels?: number | undefined
  /** `apply` turns images as their EXIF says; `ignore` leaves them as stored, as the peers do. Default `apply`. */
  orientation?: Orientation | undefined
}

export const orientations = ['apply', 'ignore'] as const
export type Orientation = (typeof orientations)[number]

/** The most pixels of an image, unless told otherwise. */
export const defaultMaxPixels = 64_000_000

/**
 * Reads as Pillow does in the peers' scripts, plus EXIF orientation: embedded colour profiles are ignored, alpha is
 * dropped (the colours under it stay), and CMYK is converted as ink times key. Truncated data is an error; a decoder's
 * warnings are not.
 */
const inputOptions = ({ maxPixels = defaultMaxPixels, orientation = 'apply' }: DecodeOptions) =>
  ({ ignoreIcc: true, autoOrient: orientation === 'apply', failOn: 'error', limitInputPixels: maxPixels }) as const

/**
 * Decodes the first frame of a JPEG, PNG, WebP, AVIF, TIFF or GIF.
 * @throws {MactokError} ERR_FORMAT, saying what is wrong with the file
 */
export async function decode(bytes: Buffer, options: DecodeOptions = {}): Promise<Image> {
  const sharp = await loadSharp()
  const header = readHeader(bytes)
  if (header) return decodePixels(header, options, () => toRgb(sharp(bytes, inputOptions(options))))
  const metadata = await describe(sharp, bytes)
  return decodePixels(metadata, options, () => {
    const image = sharp(bytes, inputOptions(options))
    if (metadata.space === 'cmyk') return convertCmyk(image)
    if (metadata.format !== 'gif' || !metadata.hasAlpha) return toRgb(image)
    const [r, g, b] = hiddenColour(bytes)
    return toRgb(image.flatten({ background: { r, g, b } }))
  })
}

/**
 * Decodes and crops to `size` × `size` in one step, shrinking while decoding and resampling with libvips: for large
 * images faster than `decode` and `centreCrop`, and about one level of 255 away from them. Images with CMYK or alpha go
 * to `decode`, and so do narrow ones that libvips would enlarge beyond the most pixels.
 */
export async function decodeFast(bytes: Buffer, size: number, options: DecodeOptions = {}): Promise<Image> {
  const sharp = await loadSharp()
  const metadata = await describe(sharp, bytes)
  checkPixels(metadata, options)
  const { space, hasAlpha, width, height } = metadata
  const { maxPixels = defaultMaxPixels } = options
  const isTooNarrow = width * height * (size / Math.min(width, height)) ** 2 > Math.max(maxPixels, width * height)
  if (space === 'cmyk' || hasAlpha || isTooNarrow) return decode(bytes, options)
  return decodePixels(metadata, options, () =>
    toRgb(sharp(bytes, inputOptions(options)).resize(size, size, { fit: 'cover', kernel: 'cubic' }))
  )
}

/** Makes an ERR_FORMAT of what fails. Its message is ours: libvips mixes up those of images decoded concurrently. */
const fail = (reason: string) => (cause: unknown) => {
  throw cause instanceof MactokError ? cause : new MactokError('ERR_FORMAT', reason, { cause })
}

const notImage = 'damaged, or not an image'

async function describe(sharp: LoadedSharp, bytes: Buffer): Promise<Metadata> {
  if (bytes.length === 0) throw new MactokError('ERR_FORMAT', 'empty file')
  if (!isImage(bytes)) throw new MactokError('ERR_FORMAT', notImage)
  return sharp(bytes, { limitInputPixels: false }).metadata().catch(fail(notImage))
}

/**
 * Pixels that are decoded at once, in the whole process: as many as the largest image has by default, which take about half a gigabyte.
 * Thousands of small images fit, and large ones wait for each other, however many cores decode.
 */
const budget = new Budget(defaultMaxPixels)

function checkPixels({ width, height }: Header, { maxPixels = defaultMaxPixels }: DecodeOptions): void {
  if (width * height > maxPixels) {
    throw new MactokError('ERR_FORMAT', `${width} × ${height} pixels, more than ${maxPixels}`)
  }
}

/** Decodes an image if it has no more pixels than allowed, when the budget has room for it. */
function decodePixels(header: Header, options: DecodeOptions, run: () => Promise<Image>): Promise<Image> {
  checkPixels(header, options)
  const { width, height, format } = header
  return budget.spend(width * height, () => run().catch(fail(`damaged or cut short (${format})`)))
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
