/** The training loop, for whatever is trained: knows when things happen, not what they are. */

export interface LoopPlan<Batch> {
  /** Steps done before this run, and the step to stop after. */
  start: number
  stop: number
  /** Steps between two of a kind; null: never. Checkpoints are also written when the loop ends. */
  every: { log: number; checkpoint: number; evaluation: number | null }
  /** Batches from step `start` on. */
  batches: AsyncIterator<Batch>
  /** Queues one optimiser step; resolves when the engine has run it. */
  step(batch: Batch, step: number): Promise<void>
  /** Each is called with the number of steps done, never while a step runs. */
  log(done: number): Promise<void>
  evaluate(done: number): Promise<void>
  checkpoint(done: number): Promise<void>
  /** Acts between steps: what is running ends, a checkpoint is written, the loop returns. */
  signal?: AbortSignal | undefined
}

/**
 * Runs the plan. One step is always queued behind the one that runs, so that the engine never waits for JavaScript;
 * the host waits for the device only to log, evaluate or write a checkpoint.
 * @returns the number of steps done
 */
export async function runLoop<Batch>(plan: LoopPlan<Batch>): Promise<number> {
  const { start, stop, every, signal } = plan
  const due = (interval: number | null, done: number) => interval !== null && done % interval === 0
  let done = start
  let saved = start
  let logged = start
  let running: Promise<void> = Promise.resolve()
  try {
    while (done < stop && !signal?.aborted) {
      const { value: batch, done: ended } = await plan.batches.next()
      if (ended) throw new Error(`The data ended at step ${done}`)
      const queued = plan.step(batch, done)
      // The step before may fail first; this one's error is then not awaited.
      queued.catch(() => {})
      await running
      running = queued
      done += 1

      const saves = due(every.checkpoint, done) || done === stop
      const evaluates = due(every.evaluation, done)
      const logs = due(every.log, done) || saves
      if (logs || evaluates) await running
      // A line of the log never spans a checkpoint: a resumed run then writes the same lines.
      if (logs) {
        await plan.log(done)
        logged = done
      }
      if (evaluates) await plan.evaluate(done)
      if (saves) {
        await plan.checkpoint(done)
        saved = done
      }
    }
    await running
    if (logged < done) await plan.log(done)
    if (saved < done) await plan.checkpoint(done)
    return done
  } finally {
    await running.catch(() => {})
    await plan.batches.return?.()
  }
}
