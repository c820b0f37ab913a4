import { natural, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { isUrl } from '../files/address.js'
import { BlockCache, cacheBytesFromEnvironment } from './block-cache.js'
import type { Bytes } from './bytes.js'
import { openFileBytes } from './file-bytes.js'
import { unpackGzip } from './gunzip.js'
import { openHttpBytes } from './http-bytes.js'
import { isGzip } from './locations.js'

/** How files of servers and compressed tars are read. */
export interface RemoteOptions {
  /** The most disk space for what was fetched or unpacked. Default: `MACTOK_DATA_CACHE` in GB, else 50 GB. */
  cacheBytes?: number
  /** Seconds without a byte after which a connection is given up and opened again. Default 30. */
  stallSeconds?: number
  /** Attempts without progress before a read fails. Default 8. */
  attempts?: number
  /** Milliseconds before the second attempt, doubled for each further one up to 30 s; a server's `Retry-After` is waited for instead. Default 500. */
  retryDelay?: number
}

/** Opens several locations with one cache. */
export class BytesOpener {
  readonly #cache: BlockCache
  readonly #retry: { stallSeconds: number; attempts: number; retryDelay: number }

  /** @throws {TypeError | RangeError} for wrong options */
  constructor(options: RemoteOptions = {}) {
    checkOptions(options, { cacheBytes: true, stallSeconds: true, attempts: true, retryDelay: true })
    const { cacheBytes, stallSeconds = 30, attempts = 8, retryDelay = 500 } = options
    if (cacheBytes !== undefined) positive('cacheBytes', cacheBytes)
    if (typeof stallSeconds !== 'number') throw invalidParameter('stallSeconds', 'a positive number', stallSeconds)
    if (!(stallSeconds > 0)) throw outOfRange('stallSeconds', 'a positive number', stallSeconds)
    positive('attempts', attempts)
    natural('retryDelay', retryDelay)
    this.#cache = new BlockCache(cacheBytes ?? cacheBytesFromEnvironment())
    this.#retry = { stallSeconds, attempts, retryDelay }
  }

  /** Opens a file or an address; gzip is unpacked into the cache first. */
  async open(location: string): Promise<Bytes> {
    const bytes = isUrl(location) ? await this.openUrl(location) : await openFileBytes(location)
    if (!isGzip(location)) return bytes
    try {
      return await unpackGzip(bytes, this.#cache)
    } finally {
      await bytes.close()
    }
  }

  openUrl(url: string): Promise<Bytes> {
    return openHttpBytes(url, this.#cache, this.#retry)
  }
}
