import { type FileHandle, open } from 'node:fs/promises'
import { MactokError } from '../errors.js'
import { readFully } from '../files/read.js'

/** The most bytes of an image's file: 1 GiB. Larger ones are unreadable, whatever holds them. */
export const maxImageBytes = 1024 ** 3

/**
 * Reads an image's file, or the part of a tar that holds it.
 * @throws {MactokError} ERR_FORMAT for more than `maxImageBytes`, or when the file ends too early
 */
export async function readImageBytes(handle: FileHandle, offset: number, size: number): Promise<Buffer> {
  if (size > maxImageBytes) {
    throw new MactokError('ERR_FORMAT', `${size} bytes, more than the ${maxImageBytes} that an image may have`)
  }
  const bytes = Buffer.allocUnsafe(size)
  await readFully(
    handle,
    bytes,
    offset,
    (end) => new MactokError('ERR_FORMAT', `ends after ${end - offset} of ${size} bytes`)
  )
  return bytes
}

/** Reads an image's file. */
export async function readImageFile(path: string | Buffer): Promise<Buffer> {
  const handle = await open(path)
  try {
    return await readImageBytes(handle, 0, (await handle.stat()).size)
  } finally {
    await handle.close()
  }
}
