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

/** A run of which this part of the steps was skipped has not been trained. */
const mostSkipped = 0.9

/** Ends a run in which nothing is finite any more: its signal aborts with an ERR_DIVERGED that names the terms. */
export class DivergenceGuard {
  readonly #controller = new AbortController()
  /** Of all steps so far. */
  readonly #terms = new Set<string>()
  #steps = 0
  #skipped = 0
  /** Of the last line of the log. */
  #lastSkipped = false

  constructor(private readonly maxSkipped: number) {}

  /** A signal that aborts with the caller's or the guard's. */
  combineWith(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#controller.signal]) : this.#controller.signal
  }

  /** Checks the metrics of the last `steps` steps up to `done`. */
  check(done: number, steps: number, metrics: Record<string, number>): void {
    const inARow = metrics.skippedInARow ?? 0
    const names = Object.keys(countNonFinite(metrics))
    for (const name of names) this.#terms.add(name)
    this.#steps += steps
    this.#skipped += metrics.skipped ?? 0
    this.#lastSkipped = inARow >= steps
    if (inARow < this.maxSkipped) return
    const terms = names.join(', ')
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

  /**
   * Checks a run that has done all its steps.
   * @throws {MactokError} ERR_DIVERGED when its last logged steps, or nearly all steps, were skipped
   */
  throwIfUntrained(): void {
    if (!this.#lastSkipped && this.#skipped < mostSkipped * Math.max(1, this.#steps)) return
    const terms = [...this.#terms].sort().join(', ')
    throw new MactokError(
      'ERR_DIVERGED',
      `${this.#skipped} of ${this.#steps} steps changed nothing${this.#lastSkipped ? ', the last ones among them' : ''}, because they were not finite (${terms}). The checkpoint has the last finite weights.`
    )
  }
}
