/** The training loop, whatever is trained: it knows when things happen, not what they are. */

import { TrainingControl } from './control.js'
import { Stopwatch } from './stopwatch.js'

export type Metrics = Record<string, number>

/** Steps since the last line of the log, and the seconds of training that they took. */
export interface Interval {
  steps: number
  seconds: number
}

export interface LoopPlan<Batch> {
  /** Steps done before this run, and the step to stop after. */
  start: number
  stop: number
  /** Steps between two of a kind; null or absent: never. Checkpoints are also written when the loop ends. */
  every: { log: number; checkpoint: number; evaluation?: number | null; grid?: number | null }
  /** Batches from step `start` on. */
  batches: AsyncIterator<Batch>
  /** Queues one optimiser step; resolves when the engine has run it. */
  step(batch: Batch, step: number): Promise<void>
  /** Means over the steps since the last call; waits for the device. */
  metrics(): Promise<Metrics>
  // These are called with the number of steps done, never while a step runs; their time does not count as training.
  log(done: number, metrics: Metrics, interval: Interval): Promise<void>
  evaluate?(done: number): Promise<void>
  grid?(done: number): Promise<void>
  checkpoint(done: number): Promise<void>
  /** Acts between steps: the running step ends, a checkpoint is written, the loop returns. */
  signal?: AbortSignal | undefined
  /** Pauses, requests checkpoints and stops, all between steps. */
  control?: TrainingControl | undefined
  /** Milliseconds of a clock that never goes back. */
  now?: () => number
}

/**
 * Runs the plan. One step is always queued behind the running one, so that the engine never waits for JavaScript;
 * the host waits for the device only to log, evaluate, draw a grid or write a checkpoint.
 * @returns the number of steps done
 */
export async function runLoop<Batch>(plan: LoopPlan<Batch>): Promise<number> {
  const { start, stop, every, signal, control = new TrainingControl() } = plan
  const isDue = (interval: number | null | undefined, done: number) => !!interval && done % interval === 0
  const isStopped = () => signal?.aborted || control.stopped
  const watch = new Stopwatch(plan.now)
  let done = start
  let saved = start
  let logged = start
  let running: Promise<void> = Promise.resolve()
  const log = async () => {
    if (logged === done) return
    const metrics = await plan.metrics()
    const interval = { steps: done - logged, seconds: watch.lap() }
    await watch.without(() => plan.log(done, metrics, interval))
    logged = done
  }
  // A line of the log never spans a checkpoint: a resumed run then writes the same lines.
  const save = async () => {
    await running
    await log()
    if (saved < done) await watch.without(() => plan.checkpoint(done))
    saved = done
    control.reportCheckpoint()
  }
  const hold = async () => {
    await running
    while (control.isHolding && !signal?.aborted) {
      if (control.wantsCheckpoint) await save()
      else await watch.without(() => control.waitForChange(signal))
    }
  }
  control.begin()
  try {
    while (done < stop && !isStopped()) {
      const { value: batch, done: ended } = await plan.batches.next()
      if (ended) throw new Error(`The data ended at step ${done}`)
      const queued = plan.step(batch, done)
      // The step before may fail first; this one's error is then not awaited.
      queued.catch(() => {})
      await running
      running = queued
      done += 1

      const saves = isDue(every.checkpoint, done) || done === stop || control.wantsCheckpoint
      const logs = isDue(every.log, done) || saves
      const evaluates = isDue(every.evaluation, done)
      const draws = isDue(every.grid, done)
      if (logs || evaluates || draws) await running
      if (logs) await log()
      if (evaluates) await watch.without(async () => plan.evaluate?.(done))
      if (draws) await watch.without(async () => plan.grid?.(done))
      if (saves) await save()
      if (control.isHolding && done < stop) await hold()
    }
    await save()
    control.end()
    return done
  } catch (error) {
    control.end(error)
    throw error
  } finally {
    await running.catch(() => {})
    await plan.batches.return?.()
  }
}
