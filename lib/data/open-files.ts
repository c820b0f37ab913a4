import type { Bytes } from './bytes.js'

/**
 * The files of a data set, opened ahead of one another and closed together: those, too, that were still being opened when another one
 * failed. One that stayed open would be read again after it was replaced.
 */
export class OpenFiles {
  readonly #files: Promise<Bytes | null>[] = []

  /** Remembers the file of what is being opened; returns that. */
  add<T>(opening: Promise<T>, fileOf: (opened: T) => Bytes): Promise<T> {
    this.#files.push(opening.then(fileOf, () => null))
    return opening
  }

  async close(): Promise<void> {
    const files = await Promise.all(this.#files.splice(0))
    await Promise.all(files.map((file) => file?.close()))
  }
}
