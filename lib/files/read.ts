import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { MactokError } from '../errors.js'
import { ifPresent } from './stat.js'
import { naming } from './system-error.js'

/**
 * Fills a buffer from a position of a file, however many system calls that takes.
 * @param truncated - makes the error to throw when the file ends too early, given the byte at which it ends
 */
export async function readFully(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  truncated: (end: number) => Error
): Promise<Uint8Array> {
  for (let done = 0; done < bytes.length; ) {
    // One read of the system takes at most 2 GiB.
    const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, 1 << 30), position + done)
    if (bytesRead === 0) throw truncated(position + done)
    done += bytesRead
  }
  return bytes
}

/** Opens a file to read it. A named pipe is empty: waiting for its writer would keep the process from ending. */
export const openToRead = (file: string): Promise<FileHandle> =>
  // Windows has neither such pipes nor the flag.
  open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))

/** Hashes a file's content, in hexadecimal. */
export async function sha256(file: string): Promise<string> {
  const handle = await openToRead(file)
  try {
    const hash = createHash('sha256')
    // One is read by libuv while the other is hashed.
    let [bytes, next] = [Buffer.allocUnsafeSlow(1 << 20), Buffer.allocUnsafeSlow(1 << 20)]
    // Without a length, Yarn's Plug'n'Play reads nothing.
    const read = (buffer: Buffer) => naming(file, handle.read(buffer, 0, buffer.length))
    let reading = read(bytes)
    for (;;) {
      const { bytesRead } = await reading
      if (bytesRead === 0) return hash.digest('hex')
      reading = read(next)
      hash.update(bytes.subarray(0, bytesRead))
      ;[bytes, next] = [next, bytes]
    }
  } finally {
    await handle.close()
  }
}

/** Reads a whole file, however many system calls that takes: Node's `readFile` takes a short read for the end of a small file. */
export async function readBytes(file: string): Promise<Buffer> {
  const handle = await openToRead(file)
  try {
    const chunks: Buffer[] = []
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(1 << 16), 0, 1 << 16)
      if (bytesRead === 0) return Buffer.concat(chunks)
      chunks.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await handle.close()
  }
}

/** Reads a text; null where there is no file. */
export async function readText(file: string): Promise<string | null> {
  return (await naming(file, ifPresent(readBytes(file))))?.toString('utf8') ?? null
}

/**
 * Reads a JSON file; an empty object when there is none.
 * @throws {MactokError} `ERR_FORMAT` when it is not a JSON object; the system's error when it cannot be read
 */
export const readJson = async (file: string): Promise<Record<string, unknown>> =>
  parseJsonObject((await readText(file)) ?? '{}', file)

/** Far deeper than any file of ours. What visits deeper values, `JSON.stringify` for one, may exhaust the stack. */
const maxDepth = 64

/** Whether a value parsed from JSON has more than `maxDepth` levels. */
export function isTooDeep(value: unknown, left = maxDepth): boolean {
  if (typeof value !== 'object' || value === null) return false
  return left === 0 || Object.values(value).some((each) => isTooDeep(each, left - 1))
}

/**
 * Parses the text of a JSON file.
 * @throws {MactokError} `ERR_FORMAT` naming the file
 */
export function parseJson(text: string, file: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (isTooDeep(value)) throw new MactokError('ERR_FORMAT', `${file} is nested deeper than ${maxDepth} levels`)
  return value
}

/**
 * Parses the text of a JSON file that holds an object.
 * @throws {MactokError} `ERR_FORMAT` naming the file
 */
export function parseJsonObject(text: string, file: string): Record<string, unknown> {
  const value = parseJson(text, file)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MactokError('ERR_FORMAT', `${file} is not a JSON object`)
  }
  return value as Record<string, unknown>
}
