import { centreCrop } from '../data/crop.js'
import { decode, type Image } from '../data/decode.js'
import { imageFormats } from '../data/formats.js'
import { MactokError } from '../errors.js'

/** The largest upload, in bytes; in pixels it is the decoder's. */
export const UPLOAD_BYTES = 32 * 2 ** 20

const ascii = (bytes: Buffer, from: number, to: number) => bytes.toString('latin1', from, to)

/** Whether the first bytes are those of a supported format; others that the decoder knows (SVG, PDF, …) never reach it. */
function isImage(bytes: Buffer): boolean {
  return (
    bytes.readUIntBE(0, 3) === 0xffd8ff ||
    ascii(bytes, 1, 4) === 'PNG' ||
    ascii(bytes, 0, 4) === 'GIF8' ||
    (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') ||
    ['II*\0', 'MM\0*'].includes(ascii(bytes, 0, 4)) ||
    (ascii(bytes, 4, 8) === 'ftyp' && ['avif', 'avis', 'mif1'].includes(ascii(bytes, 8, 12)))
  )
}

/**
 * Decodes an uploaded image and centre-crops it to `size`, as evaluation does.
 * @throws {MactokError} ERR_FORMAT for anything but an image of at most `defaultMaxPixels` in a supported format
 */
export async function readUpload(bytes: Buffer, size: number): Promise<Image> {
  if (bytes.length < 12 || !isImage(bytes)) throw new MactokError('ERR_FORMAT', `Expected an image: ${imageFormats}`)
  const image = await decode(bytes)
  const data = new Uint8Array(size * size * 3)
  await centreCrop(image, size, data)
  return { data, width: size, height: size }
}
