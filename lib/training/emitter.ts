import { MactokError } from '../errors.js'

/**
 * Typed listeners by event. An error of a listener never reaches the code that emits, which would lose its work, but
 * aborts the signal of the run.
 */
export class Emitter<Events extends object> {
  readonly #listeners: { [Name in keyof Events]?: ((event: Events[Name]) => unknown)[] } = {}
  #failure = new AbortController()
  #isHeard: (name: string) => boolean = () => true

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => unknown): void {
    const listeners = this.#listeners[name] ?? []
    this.#listeners[name] = listeners
    listeners.push(listener)
  }

  /**
   * Begins a run, whose signal aborts with an ERR_LISTENER at the first error of a listener.
   * @param isHeard - whether listeners are called for an event
   */
  startRun(isHeard: (name: string) => boolean = () => true): AbortSignal {
    this.#failure = new AbortController()
    this.#isHeard = isHeard
    return this.#failure.signal
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    if (!this.#isHeard(String(name))) return
    const failure = this.#failure
    const fail = (cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const message = `A listener of ${String(name)} failed: ${reason}. The run stopped as after an interruption.`
      failure.abort(new MactokError('ERR_LISTENER', message, { cause }))
    }
    for (const listener of this.#listeners[name] ?? []) {
      try {
        const result = listener(event)
        // Of an async function.
        if (result instanceof Promise) result.catch(fail)
      } catch (error) {
        fail(error)
      }
    }
  }
}
