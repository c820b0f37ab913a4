/** Runs tasks in order, at most `limit` at a time. */
export class Workers {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #running = 0
  #stopped = false
  #idle: (() => void) | null = null

  constructor(limit: number) {
    this.#limit = limit
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((start) => this.#waiting.push(start))
    else this.#running++
    try {
      if (this.#stopped) throw new Error('stopped')
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else if (--this.#running === 0) this.#idle?.()
    }
  }

  /** Drops the waiting tasks, whose promises reject, and resolves when the running ones have ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#running > 0) await new Promise<void>((idle) => (this.#idle = idle))
  }
}
