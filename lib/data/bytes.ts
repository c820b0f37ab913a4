/** Bytes that can be read at any position: of a local file, of an HTTP(S) server, or unpacked from gzip. */

import { MactokError } from '../errors.js'
import { maxImageBytes } from './image-file.js'

export interface Bytes {
  /** Path or address, for messages. */
  readonly name: string
  readonly size: number
  /** Changes when the content does. */
  readonly stamp: string
  /** Identifies the content for all processes of this machine; null where nothing tells whether it has changed. */
  readonly identity: string | null
  /** Reads [offset, offset + size). @throws {MactokError} `ERR_FORMAT` when there are fewer bytes */
  read(offset: number, size: number): Promise<Buffer>
  close(): Promise<void>
}

/**
 * Reads an image's file within other bytes.
 * @throws {MactokError} ERR_FORMAT for more than `maxImageBytes`, or when the bytes end too early
 */
export async function readImage(bytes: Bytes, offset: number, size: number): Promise<Buffer> {
  if (size > maxImageBytes) {
    throw new MactokError('ERR_FORMAT', `${size} bytes, more than the ${maxImageBytes} that an image may have`)
  }
  return bytes.read(offset, size)
}
