import { MactokError } from '../errors.js'

const prefix = 'nonFinite.'

/** What the native steps counted as not finite, by the name of the metric. */
export const nonFinite = (metrics: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(metrics).flatMap(([name, count]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), count]] : []
    )
  )

export const isNonFinite = (name: string): boolean => name.startsWith(prefix)

/** Ends a run in which nothing is finite any more: its `signal` aborts with an ERR_DIVERGED that tells which terms were not. */
export class DivergenceGuard {
  readonly #controller = new AbortController()

  constructor(private readonly maxSkipped: number) {}

  /** Aborts with the caller's signal too. */
  signalWith(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal
  }

  /** Looks at the metrics of the steps up to `done`. */
  check(done: number, metrics: Record<string, number>): void {
    const inARow = metrics.skippedInARow ?? 0
    if (inARow < this.maxSkipped) return
    const terms = Object.keys(nonFinite(metrics)).join(', ')
    this.#controller.abort(
      new MactokError(
        'ERR_DIVERGED',
        `Stopped at step ${done}: the last ${inARow} steps changed nothing, because they were not finite (${terms}). Their checkpoint has the last finite weights.`
      )
    )
  }

  /** @throws {MactokError} ERR_DIVERGED when it ended the run */
  throwIfDiverged(): void {
    this.#controller.signal.throwIfAborted()
  }
}
