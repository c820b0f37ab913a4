import { MactokError } from '../errors.js'
import type { Image } from './decode.js'
import type { ImageSet } from './image-set.js'

/** An image that could not be read. */
export interface Broken {
  name: string
  reason: string
}

export interface ReaderOptions {
  /** Fail at the first broken image (ERR_FORMAT) instead of going on without it. */
  strict: boolean
  /** Told of every broken image once. */
  onBroken: (broken: Broken) => void
  /** The most that decoded images may take in memory. */
  cacheBytes: number
}

/** Running out of these says nothing about the image. */
const OUR_OWN_TROUBLE = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EBADF'])

/**
 * Reads and decodes images of a set. Images are kept, first come first kept, while they fit: an epoch needs each once, so that
 * making room for one by dropping another would gain nothing. Broken images are remembered.
 */
export class ImageReader {
  readonly #set: ImageSet
  readonly #decode: (bytes: Buffer) => Promise<Image>
  readonly #options: ReaderOptions
  readonly #kept = new Map<number, Promise<Image | null>>()
  #bytes = 0

  constructor(set: ImageSet, decode: (bytes: Buffer) => Promise<Image>, options: ReaderOptions) {
    this.#set = set
    this.#decode = decode
    this.#options = options
  }

  /** The decoded image, or null if it is broken. Its pixels are shared: not to be written. */
  image(index: number): Promise<Image | null> {
    const kept = this.#kept.get(index)
    if (kept) return kept
    const image = this.#read(index)
    this.#kept.set(index, image)
    return image
  }

  async #read(index: number): Promise<Image | null> {
    try {
      const image = await this.#decode(await this.#set.read(index))
      const bytes = image.data.byteLength
      if (this.#bytes + bytes <= this.#options.cacheBytes) this.#bytes += bytes
      else this.#kept.delete(index)
      return image
    } catch (error) {
      return this.#broken(index, error)
    }
  }

  #broken(index: number, error: unknown): null {
    const { code, message } = error as NodeJS.ErrnoException
    const isFile =
      error instanceof MactokError
        ? code === 'ERR_FORMAT'
        : code !== undefined && /^E[A-Z]+$/.test(code) && !OUR_OWN_TROUBLE.has(code)
    if (!isFile) throw error
    const { name } = this.#set.sample(index)
    const reason = error instanceof MactokError ? message : `cannot be read (${code})`
    if (this.#options.strict)
      throw new MactokError('ERR_FORMAT', `${name} in ${this.#set.name}: ${reason}`, { cause: error })
    this.#options.onBroken({ name, reason })
    return null
  }
}
