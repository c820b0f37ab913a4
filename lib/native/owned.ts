import { MactokError } from '../errors.js'

/** A handle of the addon's that is usable until its owner is disposed of. */
export class Owned<Handle extends { dispose(): void }> {
  readonly #handle: Handle
  readonly #owner: string
  #disposed = false

  /** @param owner - who the error says is disposed, `tokenizer` */
  constructor(handle: Handle, owner: string) {
    this.#handle = handle
    this.#owner = owner
  }

  /** @throws {MactokError} ERR_DISPOSED after `dispose()` */
  get handle(): Handle {
    if (this.#disposed) throw new MactokError('ERR_DISPOSED', `This ${this.#owner} is disposed`)
    return this.#handle
  }

  dispose(): void {
    this.#disposed = true
    this.#handle.dispose()
  }
}
