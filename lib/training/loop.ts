/** The training loop, whatever is trained: it knows when things happen, not what they are. */

import { TrainingControl } from './control.js'
import { Stopwatch } from './stopwatch.js'

export type Metrics = Record<string, number>

/** Steps since the last line of the log, and the seconds of training that they took. */
export interface Interval {
  steps: number
  seconds: number
}

/** What a signal or a control requests between two steps. */
export interface Requests {
  stop: boolean
  /** A checkpoint. */
  save: boolean
  /** To pause. */
  hold: boolean
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
  /** Whether the evaluation of step `start` is missing: it follows the checkpoint, after which the earlier run ended. */
  lacksEvaluation?: boolean
  grid?(done: number): Promise<void>
  checkpoint(done: number): Promise<void>
  /** Acts between steps: the running step ends, a checkpoint is written, the loop returns. */
  signal?: AbortSignal | undefined
  /** Pauses, requests checkpoints and stops, all between steps. */
  control?: TrainingControl | undefined
  /** Makes one decision of the requests of several processes, which all call it before each step. */
  agree?: (requests: Requests) => Promise<Requests>
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
  const requested = (): Requests => ({
    stop: Boolean(signal?.aborted || control.stopped),
    save: control.wantsCheckpoint,
    hold: control.isHolding
  })
  let agreed: Requests | null = null
  /** The requests of now, or those of all processes before this step. */
  const requests = () => agreed ?? requested()
  const consult = async () => {
    if (plan.agree) agreed = await plan.agree(requested())
  }
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
  const evaluate = () => watch.without(async () => plan.evaluate?.(done))
  const hold = async () => {
    await running
    while (requests().hold && !requests().stop) {
      if (requests().save) await save()
      else await watch.without(() => waitForChange())
      await consult()
    }
  }
  // Where others wait for this process's decision, it shows that it is there.
  const waitForChange = async () => {
    if (!plan.agree) return control.waitForChange(signal)
    if (control.isHolding)
      await control.waitForChange(AbortSignal.any([AbortSignal.timeout(1000), ...(signal ? [signal] : [])]))
  }
  control.begin()
  try {
    await consult()
    if (plan.lacksEvaluation && !requests().stop) await evaluate()
    while (done < stop && !requests().stop) {
      const { value: batch, done: ended } = await plan.batches.next()
      if (ended) throw new Error(`The data ended at step ${done}`)
      const queued = plan.step(batch, done)
      // The step before may fail first; this one's error is then not awaited.
      queued.catch(() => {})
      await running
      running = queued
      done += 1

      const saves = isDue(every.checkpoint, done) || done === stop || requests().save
      const logs = isDue(every.log, done) || saves
      const evaluates = isDue(every.evaluation, done)
      const draws = isDue(every.grid, done)
      if (logs || evaluates || draws) await running
      if (logs) await log()
      if (draws) await watch.without(async () => plan.grid?.(done))
      if (saves) await save()
      // After a checkpoint of the same step, which an evaluation that fails must not cost.
      if (evaluates) await evaluate()
      if (requests().hold && done < stop) await hold()
      if (done < stop) await consult()
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
