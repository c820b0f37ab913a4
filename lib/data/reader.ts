import { MactokError } from '../errors.js'
import { explainSystemError } from '../files/system-error.js'
import type { Image } from './decode.js'
import type { ImageSet } from './image-set.js'

/** An image that could not be read or decoded. */
export interface Broken {
  name: string
  reason: string
}

export interface ReaderOptions {
  /** Fail with ERR_FORMAT at the first unreadable image instead of skipping it. */
  strict: boolean
  /** Called once for each unreadable image. */
  onBroken: (broken: Broken) => void
  /** The most memory that cached images may take, in bytes. */
  cacheBytes: number
}

/** The process ran out of something: that says nothing about the image. */
const resourceErrors = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EBADF'])
/** Storage fails: skipping what it holds would lose images that are there the next time. */
const storageErrors = new Set(['EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'ENODEV', 'EREMOTEIO', 'EHOSTDOWN'])

/**
 * Reads and decodes the images of a set, each file once. Decoded images are cached until the cache is full and never
 * evicted: an epoch needs each image once, so evicting one for another would gain nothing. Unreadable images are
 * remembered.
 * @typeParam T - what `decode` makes of a file: its image, and whatever else comes from the same bytes
 */
export class ImageReader<T extends Image = Image> {
  readonly #set: ImageSet
  readonly #decode: (bytes: Buffer) => Promise<T>
  readonly #options: ReaderOptions
  readonly #cache = new Map<number, Promise<T | null>>()
  #bytes = 0

  constructor(set: ImageSet, decode: (bytes: Buffer) => Promise<T>, options: ReaderOptions) {
    this.#set = set
    this.#decode = decode
    this.#options = options
  }

  /**
   * Resolves to the decoded image, or to null if it is unreadable. Callers share its pixels and must not change them.
   */
  read(index: number): Promise<T | null> {
    const cached = this.#cache.get(index)
    if (cached) return cached
    const image = this.#load(index)
    this.#cache.set(index, image)
    return image
  }

  async #load(index: number): Promise<T | null> {
    try {
      const image = await this.#decode(await this.#set.read(index))
      const bytes = image.data.byteLength
      if (this.#bytes + bytes <= this.#options.cacheBytes) this.#bytes += bytes
      else this.#cache.delete(index)
      return image
    } catch (error) {
      return this.#report(index, error)
    }
  }

  /** Reports an unreadable image; throws whatever is not the image's fault. */
  #report(index: number, error: unknown): null {
    explainSystemError(error)
    const { code, message } = error as NodeJS.ErrnoException
    const isUnreadable =
      error instanceof MactokError
        ? code === 'ERR_FORMAT'
        : code !== undefined && /^E[A-Z]+$/.test(code) && !resourceErrors.has(code)
    if (!isUnreadable) throw error
    const { name } = this.#set.sample(index)
    const reason = error instanceof MactokError ? message : `cannot be read (${code})`
    if (this.#options.strict || storageErrors.has(code as string)) {
      throw new MactokError('ERR_FORMAT', `${name} in ${this.#set.name}: ${reason}`, { cause: error })
    }
    this.#options.onBroken({ name, reason })
    return null
  }
}
