import { centreCrop } from '../data/crop.js'
import { decode, type Image } from '../data/decode.js'
import { imageFormats, isImage } from '../data/formats.js'
import { MactokError } from '../errors.js'

/** The largest upload, in bytes; in pixels it is the decoder's. */
export const UPLOAD_BYTES = 32 * 2 ** 20

/**
 * Decodes an uploaded image and centre-crops it to `size`, as evaluation does.
 * @throws {MactokError} ERR_FORMAT for anything but an image of at most `defaultMaxPixels` in a supported format
 */
export async function readUpload(bytes: Buffer, size: number): Promise<Image> {
  if (!isImage(bytes)) throw new MactokError('ERR_FORMAT', `Expected an image: ${imageFormats}`)
  const image = await decode(bytes)
  const data = new Uint8Array(size * size * 3)
  await centreCrop(image, size, data)
  return { data, width: size, height: size }
}
