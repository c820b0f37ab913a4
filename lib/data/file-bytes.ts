import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { MactokError } from '../errors.js'
import { readFully } from '../files/read.js'
import { stampOf } from '../files/stat.js'
import type { Bytes } from './bytes.js'

/** Files open at once: a data set may have more than a process may open. */
const mostOpen = 128

interface Opened {
  handle: Promise<FileHandle>
  users: number
  /** Closed while in use: its last user closes the handle. */
  isLeft: boolean
}

/** Open files, of which the longest unused are closed. */
class FilePool {
  readonly #opened = new Map<string, Opened>()

  async use<T>(path: string, body: (handle: FileHandle) => Promise<T>): Promise<T> {
    const opened = this.#opened.get(path) ?? { handle: open(path), users: 0, isLeft: false }
    // The last in the order of use.
    this.#opened.delete(path)
    this.#opened.set(path, opened)
    opened.users++
    try {
      return await body(await opened.handle)
    } catch (error) {
      await opened.handle.catch(() => this.#forget(path, opened))
      throw error
    } finally {
      opened.users--
      if (opened.isLeft && opened.users === 0) await this.#close(path, opened)
      await this.#closeUnused()
    }
  }

  async #closeUnused(): Promise<void> {
    for (const [path, opened] of this.#opened) {
      if (this.#opened.size <= mostOpen) return
      if (opened.users === 0) await this.#close(path, opened)
    }
  }

  /** The next use of the path opens it again, as the file may have been replaced. */
  async close(path: string): Promise<void> {
    const opened = this.#opened.get(path)
    if (!opened) return
    if (opened.users === 0) return this.#close(path, opened)
    opened.isLeft = true
    this.#forget(path, opened)
  }

  async #close(path: string, opened: Opened): Promise<void> {
    this.#forget(path, opened)
    const handle = await opened.handle.catch(() => null)
    await handle?.close()
  }

  /** Another may have been opened at the path since. */
  #forget(path: string, opened: Opened): void {
    if (this.#opened.get(path) === opened) this.#opened.delete(path)
  }
}

const pool = new FilePool()

/** @throws {MactokError} `ERR_FORMAT` when it cannot be opened */
export async function openFileBytes(path: string): Promise<Bytes> {
  const found = await pool
    .use(path, (handle) => handle.stat())
    .catch((cause: NodeJS.ErrnoException) => {
      throw new MactokError('ERR_FORMAT', `${path} cannot be opened (${cause.code})`, { cause })
    })
  return {
    name: path,
    size: found.size,
    stamp: stampOf(found),
    identity: `${resolve(path)} ${stampOf(found)}`,
    read: (offset, size) =>
      pool.use(path, async (handle) => {
        const bytes = Buffer.allocUnsafe(size)
        const truncated = (end: number) => new MactokError('ERR_FORMAT', `ends after ${end - offset} of ${size} bytes`)
        await readFully(handle, bytes, offset, truncated)
        return bytes
      }),
    close: () => pool.close(path)
  }
}
