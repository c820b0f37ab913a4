/** Measures the time of training alone: it stands still while something else is done. */
export class Stopwatch {
  #since: number

  /** @param now - milliseconds of a clock that never goes back */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.#since = now()
  }

  /** Seconds since the last lap; starts the next one. */
  lap(): number {
    const now = this.now()
    const seconds = (now - this.#since) / 1000
    this.#since = now
    return seconds
  }

  /** Does something whose time does not count. */
  async without<T>(work: () => Promise<T>): Promise<T> {
    const began = this.now()
    try {
      return await work()
    } finally {
      this.#since += this.now() - began
    }
  }
}
