/** What a file of weights is, by its first bytes: names and contents often disagree. */

import type { FileHandle } from 'node:fs/promises'
import { MactokError } from '../errors.js'
import { openToRead } from '../files/read.js'
import { naming } from '../files/system-error.js'

/** Enough for the magic numbers below. */
const headBytes = 64

/**
 * The format of an open file; undefined when its first bytes are of neither.
 * @throws {MactokError} `ERR_FORMAT` for what stands in a file's place: a Git LFS pointer, a web page, a named pipe
 */
export async function detectContent(handle: FileHandle, path: string): Promise<'safetensors' | 'torch' | undefined> {
  if ((await handle.stat()).isFIFO()) {
    throw new MactokError('ERR_FORMAT', `${path} is a named pipe: weights are read from files`)
  }
  const { buffer, bytesRead } = await naming(path, handle.read(Buffer.alloc(headBytes), 0, headBytes, 0))
  const head = buffer.subarray(0, bytesRead)
  const text = head.toString('latin1')
  if (text.startsWith('version https://git-lfs')) {
    throw new MactokError('ERR_FORMAT', `${path} is a Git LFS pointer: fetch the file itself with \`git lfs pull\``)
  }
  if (/^\s*<(!doctype|html)/i.test(text)) {
    throw new MactokError('ERR_FORMAT', `${path} is a web page: download the file itself`)
  }
  // A header's length before its JSON; a length may begin with any bytes, those of the magic numbers below included.
  if (text[8] === '{') return 'safetensors'
  const isZip = text.startsWith('PK\x03\x04')
  const isPickle = head[0] === 0x80 && (head[1] as number) >= 2 && (head[1] as number) <= 5
  return isZip || isPickle ? 'torch' : undefined
}

/** Whether a file is torch.save's: by its content, else by its name. */
export async function isTorchFile(path: string): Promise<boolean> {
  const handle = await openToRead(path)
  try {
    const content = await detectContent(handle, path)
    return content === undefined ? /\.(pt|pth|ckpt|bin)$/i.test(path) : content === 'torch'
  } finally {
    await handle.close()
  }
}
