/** What a run has opened, closed in reverse order: an AsyncDisposableStack, which Node has from version 24 on. */
export class Resources implements AsyncDisposable {
  readonly #close: (() => void | PromiseLike<void>)[] = []

  /** Closes the resource at the end; returns it. */
  use<T extends Disposable | AsyncDisposable | null>(resource: T): T {
    if (resource) {
      this.defer(() =>
        Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : (resource as Disposable)[Symbol.dispose]()
      )
    }
    return resource
  }

  /** Calls `close` at the end. */
  defer(close: () => void | PromiseLike<void>): void {
    this.#close.push(close)
  }

  /** Closes everything, also where something fails to close. */
  async [Symbol.asyncDispose](): Promise<void> {
    const close = this.#close.pop()
    if (!close) return
    try {
      await close()
    } finally {
      await this[Symbol.asyncDispose]()
    }
  }
}
