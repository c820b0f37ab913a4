/** A budget that concurrent tasks share: each waits, in order, until there is room for it. */
export class Budget {
  readonly #waiting: { cost: number; start: () => void }[] = []
  #free: number

  constructor(private readonly total: number) {
    this.#free = total
  }

  /** Runs a task; one that costs more than the whole budget runs alone. */
  async spend<T>(cost: number, task: () => Promise<T>): Promise<T> {
    const price = Math.min(cost, this.total)
    if (this.#waiting.length > 0 || price > this.#free) {
      await new Promise<void>((start) => this.#waiting.push({ cost: price, start }))
    } else {
      this.#free -= price
    }
    try {
      return await task()
    } finally {
      this.#free += price
      this.#startWaiting()
    }
  }

  #startWaiting(): void {
    for (let next = this.#waiting[0]; next && next.cost <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#free -= next.cost
      next.start()
    }
  }
}
