import { EventEmitter, once } from 'node:events'
import { outOfRange } from '../errors.js'

/** `pausing` and `stopping` last until the running step has ended. */
export type TrainingState = 'waiting' | 'running' | 'pausing' | 'paused' | 'stopping' | 'ended'

/** Controls a training run from outside, by `.run({ control })`. Everything acts between two steps. */
export class TrainingControl {
  readonly #events = new EventEmitter()
  #phase: 'waiting' | 'running' | 'ended' = 'waiting'
  #paused = false
  #held = false
  readonly #stop = new AbortController()
  #failure: unknown

  get state(): TrainingState {
    if (this.#phase === 'ended') return 'ended'
    if (this.stopped) return 'stopping'
    if (this.#paused) return this.#held ? 'paused' : 'pausing'
    return this.#phase
  }

  /** Pauses the run after the running step; nothing is computed until `resume`. */
  pause(): void {
    this.#paused = true
    this.#events.emit('change')
  }

  resume(): void {
    this.#paused = false
    this.#events.emit('change')
  }

  /**
   * Requests a checkpoint after the running step, also of a paused run; resolves when it is written.
   * @throws the error that the run failed with
   */
  async checkpoint(): Promise<void> {
    if (this.#phase !== 'ended') {
      const saved = once(this.#events, 'saved')
      this.#events.emit('change')
      await saved
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Ends the run as an aborted signal does: after a checkpoint, to be resumed. */
  stop(): void {
    this.#stop.abort()
    this.#events.emit('change')
  }

  /** @internal */
  begin(): void {
    if (this.#phase !== 'waiting') throw outOfRange('control', 'a control that no run has used', this.#phase)
    this.#phase = 'running'
  }

  /** @internal */
  end(failure?: unknown): void {
    this.#phase = 'ended'
    this.#failure = failure
    this.#events.emit('saved')
  }

  /** @internal Of a run that ended before its first step. */
  endUnused(failure: unknown): void {
    if (this.#phase === 'waiting') this.end(failure)
  }

  /** @internal Whether somebody waits for a checkpoint. */
  get wantsCheckpoint(): boolean {
    return this.#events.listenerCount('saved') > 0
  }

  /** @internal */
  get stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** @internal Aborts at `stop`. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal
  }

  /** @internal Whether the loop has to wait. */
  get isHolding(): boolean {
    return this.#paused && !this.stopped
  }

  /** @internal A checkpoint of the current step exists. */
  reportCheckpoint(): void {
    this.#events.emit('saved')
  }

  /** @internal Waits until something is requested, or the signal aborts. */
  async waitForChange(signal: AbortSignal | undefined): Promise<void> {
    this.#held = true
    try {
      await once(this.#events, 'change', signal ? { signal } : {})
    } catch (error) {
      if (!signal?.aborted) throw error
    } finally {
      this.#held = false
    }
  }
}
