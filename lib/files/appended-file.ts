import { closeSync, openSync, writeSync } from 'node:fs'
import { nameFile } from './system-error.js'

/** A file that grows: what was appended is in it when the call returns. */
export class AppendedFile {
  readonly #handle: number

  /** @param path - is created if there is none */
  constructor(readonly path: string) {
    this.#handle = openSync(path, 'a')
  }

  append(content: string | Uint8Array): void {
    const bytes = Buffer.from(content)
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#handle, bytes, done)
    } catch (error) {
      nameFile(error, this.path)
      throw error
    }
  }

  close(): void {
    closeSync(this.#handle)
  }
}
