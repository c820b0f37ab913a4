/** A bounded folder of what was fetched from servers or unpacked, shared by all processes of this machine. */

import { createHash } from 'node:crypto'
import { open, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { outOfRange } from '../errors.js'
import { writeAtomically, writeFully } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
import { makeFolder } from '../files/make-folder.js'

/** Bytes per block: large enough for a server's latency, small enough for the images of a few samples. */
export const blockBytes = 4 * 2 ** 20

/** How often a block's time of use is written, in milliseconds. */
const touchInterval = 60_000

/** How long an unpacked or unfinished file stays after its last use, in milliseconds. */
const keptFor = 24 * 3600 * 1000

/** Bytes that a process writes before it looks at the folder again. */
const lookEvery = 64 * blockBytes

/** `MACTOK_DATA_CACHE` in GB. @throws {RangeError} for anything but a positive number */
export function cacheBytesFromEnvironment(env: NodeJS.ProcessEnv = process.env): number {
  const text = env.MACTOK_DATA_CACHE ?? '50'
  const gigabytes = Number(text)
  if (!(gigabytes > 0)) throw outOfRange('the environment variable MACTOK_DATA_CACHE', 'a number of GB', text)
  return gigabytes * 1e9
}

interface Stored {
  path: string
  size: number
  used: number
}

export class BlockCache {
  /** Bytes that were stored when the folder was looked at, and what this process added since. */
  #total: number | null = null
  #added = 0
  #last: Promise<void> = Promise.resolve()

  constructor(
    readonly limit: number,
    readonly folder = join(cacheFolder(), 'data')
  ) {}

  /** A name for content, from what identifies it. */
  static keyOf(...parts: string[]): string {
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
  }

  pathOf(name: string): string {
    return join(this.folder, name)
  }

  /** Marks a file as used, at most once in a while. */
  async touch(path: string, used = 0): Promise<void> {
    const now = Date.now()
    if (now - used > touchInterval) await utimes(path, now / 1000, now / 1000).catch(() => {})
  }

  /** Reads a part of a stored block; null where it is not stored, or not in this length. */
  async read(name: string, length: number, offset: number, size: number): Promise<Buffer | null> {
    const path = this.pathOf(name)
    const handle = await open(path).catch(() => null)
    if (!handle) return null
    try {
      const found = await handle.stat()
      if (found.size !== length) return null
      await this.touch(path, found.mtimeMs)
      const bytes = Buffer.allocUnsafe(size)
      const { bytesRead } = await handle.read(bytes, 0, size, offset)
      return bytesRead === size ? bytes : null
    } finally {
      await handle.close()
    }
  }

  /** Stores a block, one after the other, so that those under way are counted. */
  write(name: string, bytes: Uint8Array): Promise<void> {
    const written = this.#last.then(async () => {
      await this.makeRoom(bytes.length)
      await writeAtomically(this.pathOf(name), (handle) => writeFully(handle, bytes))
    })
    this.#last = written.catch(() => {})
    return written
  }

  /**
   * Removes the longest unused files until so many bytes fit.
   * @returns whether they fit
   */
  async makeRoom(bytes: number): Promise<boolean> {
    // Others write as well, so that the folder is looked at again from time to time.
    if (this.#total === null || this.#added > lookEvery) {
      this.#added = 0
      this.#total = (await this.#list()).reduce((sum, { size }) => sum + size, 0)
    }
    this.#total += bytes
    this.#added += bytes
    if (this.#total > this.limit) this.#total = await this.#evict(bytes)
    return this.#total <= this.limit
  }

  async #evict(bytes: number): Promise<number> {
    const files = (await this.#list()).sort((a, b) => a.used - b.used)
    let total = files.reduce((sum, { size }) => sum + size, 0) + bytes
    for (const { path, size, used } of files) {
      // A tenth more, so that not every block lists the folder.
      if (total <= this.limit * 0.9) break
      // Blocks can be fetched again at any time; a process that has begun with an unpacked file must keep it.
      if (!/[\\/]\d+$/.test(path) && Date.now() - used < keptFor) continue
      await rm(path, { force: true })
      total -= size
    }
    return total
  }

  async #list(): Promise<Stored[]> {
    await makeFolder(this.folder)
    const files: Stored[] = []
    for (const entry of await readdir(this.folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath ?? entry.path, entry.name)
      const found = await stat(path).catch(() => null)
      if (found) files.push({ path, size: found.size, used: found.mtimeMs })
    }
    return files
  }
}
