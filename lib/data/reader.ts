import { MactokError } from '../errors.js'
import type { Picture } from './decode.js'
import type { ImageSet } from './image-set.js'

/** A picture that could not be read. */
export interface Broken {
  name: string
  reason: string
}

export interface ReaderOptions {
  /** Fail at the first broken picture (ERR_FORMAT) instead of going on without it. */
  strict: boolean
  /** Told of every broken picture once. */
  onBroken: (broken: Broken) => void
  /** The most that decoded pictures may take in memory. */
  cacheBytes: number
}

/** Running out of these says nothing about the picture. */
const OUR_OWN_TROUBLE = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EBADF'])

/**
 * Reads and decodes pictures of a set. Pictures are kept, first come first kept, while they fit: an epoch needs each once, so that
 * making room for one by dropping another would gain nothing. Broken pictures are remembered.
 */
export class PictureReader {
  readonly #set: ImageSet
  readonly #decode: (bytes: Buffer) => Promise<Picture>
  readonly #options: ReaderOptions
  readonly #kept = new Map<number, Promise<Picture | null>>()
  #bytes = 0

  constructor(set: ImageSet, decode: (bytes: Buffer) => Promise<Picture>, options: ReaderOptions) {
    this.#set = set
    this.#decode = decode
    this.#options = options
  }

  /** The decoded picture, or null if it is broken. Its pixels are shared: not to be written. */
  picture(index: number): Promise<Picture | null> {
    const kept = this.#kept.get(index)
    if (kept) return kept
    const picture = this.#read(index)
    this.#kept.set(index, picture)
    return picture
  }

  async #read(index: number): Promise<Picture | null> {
    try {
      const picture = await this.#decode(await this.#set.read(index))
      const bytes = picture.data.byteLength
      if (this.#bytes + bytes <= this.#options.cacheBytes) this.#bytes += bytes
      else this.#kept.delete(index)
      return picture
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
