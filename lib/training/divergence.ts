import { MactokError } from '../errors.js'

const prefix = 'nonFinite.'

/** How often each metric was not finite in the native steps, by its name. */
export const countNonFinite = (metrics: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(metrics).flatMap(([name, count]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), count]] : []
    )
  )

export const isNonFinite = (name: string): boolean => name.startsWith(prefix)

/** Ends a run in which nothing is finite any more: its signal aborts with an ERR_DIVERGED that names the terms. */
export class DivergenceGuard {
  readonly #controller = new AbortController()

  constructor(private readonly maxSkipped: number) {}

  /** A signal that aborts with the caller's or the guard's. */
  combineWith(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal
  }

  /** Checks the metrics of the steps up to `done`. */
  check(done: number, metrics: Record<string, number>): void {
    const inARow = metrics.skippedInARow ?? 0
    if (inARow < this.maxSkipped) return
    const terms = Object.keys(countNonFinite(metrics)).join(', ')
    this.#controller.abort(
      new MactokError(
        'ERR_DIVERGED',
        `Stopped at step ${done}: the last ${inARow} steps changed nothing, because they were not finite (${terms}). Its checkpoint has the last finite weights.`
      )
    )
  }

  /** @throws {MactokError} ERR_DIVERGED when it ended the run */
  throwIfDiverged(): void {
    this.#controller.signal.throwIfAborted()
  }
}
