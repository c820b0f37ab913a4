/** The training loop, for whatever is trained: knows when things happen, not what they are. */

import { TrainingControl } from './control.js'

export interface LoopPlan<Batch> {
  /** Steps done before this run, and the step to stop after. */
  start: number
  stop: number
  /** Steps between two of a kind; null: never. Checkpoints are also written when the loop ends. */
  every: { log: number; checkpoint: number; evaluation: number | null; grid?: number | null }
  /** Batches from step `start` on. */
  batches: AsyncIterator<Batch>
  /** Queues one optimiser step; resolves when the engine has run it. */
  step(batch: Batch, step: number): Promise<void>
  /** Each is called with the number of steps done, never while a step runs. */
  log(done: number): Promise<void>
  evaluate(done: number): Promise<void>
  /** Sample images. */
  grid?(done: number): Promise<void>
  checkpoint(done: number): Promise<void>
  /** Acts between steps: what is running ends, a checkpoint is written, the loop returns. */
  signal?: AbortSignal | undefined
  /** Pauses, asks for checkpoints and stops, all between steps. */
  control?: TrainingControl | undefined
  /** Called after a pause of so many milliseconds. */
  held?(duration: number): void
}

/**
 * Runs the plan. One step is always queued behind the one that runs, so that the engine never waits for JavaScript;
 * the host waits for the device only to log, evaluate or write a checkpoint.
 * @returns the number of steps done
 */
export async function runLoop<Batch>(plan: LoopPlan<Batch>): Promise<number> {
  const { start, stop, every, signal, control = new TrainingControl() } = plan
  const due = (interval: number | null, done: number) => interval !== null && done % interval === 0
  const stopped = () => signal?.aborted || control.stopped
  let done = start
  let saved = start
  let logged = start
  let running: Promise<void> = Promise.resolve()
  const log = async () => {
    if (logged < done) await plan.log(done)
    logged = done
  }
  // A line of the log never spans a checkpoint: a resumed run then writes the same lines.
  const save = async () => {
    await running
    await log()
    if (saved < done) await plan.checkpoint(done)
    saved = done
    control.saved()
  }
  const hold = async () => {
    const since = performance.now()
    await running
    while (control.holds && !signal?.aborted) {
      if (control.wantsCheckpoint) await save()
      else await control.change(signal)
    }
    plan.held?.(performance.now() - since)
  }
  control.begin()
  try {
    while (done < stop && !stopped()) {
      const { value: batch, done: ended } = await plan.batches.next()
      if (ended) throw new Error(`The data ended at step ${done}`)
      const queued = plan.step(batch, done)
      // The step before may fail first; this one's error is then not awaited.
      queued.catch(() => {})
      await running
      running = queued
      done += 1

      const saves = due(every.checkpoint, done) || done === stop || control.wantsCheckpoint
      const evaluates = due(every.evaluation, done)
      const draws = due(every.grid ?? null, done)
      const logs = due(every.log, done) || saves
      if (logs || evaluates || draws) await running
      if (logs) await log()
      if (evaluates) await plan.evaluate(done)
      if (draws) await plan.grid?.(done)
      if (saves) await save()
      if (control.holds && done < stop) await hold()
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
