/** What happens between the start of a run and its last checkpoint. */

import { dirname, join } from 'node:path'
import { writePng } from '../data/image.js'
import type { RankGroup } from '../distributed/rank-group.js'
import { makeFolder } from '../files/make-folder.js'
import { native } from '../native/errors.js'
import type { Recording } from '../profile/recording.js'
import { checkpointFolder, checkpointName, removeOlder, writeCheckpoint } from '../runs/checkpoint.js'
import { MetricsLog, readMetrics } from '../runs/metrics.js'
import type { TrainingControl } from './control.js'
import { DivergenceGuard } from './divergence.js'
import type { Emitter } from './emitter.js'
import type { SharedEvents } from './events.js'
import { type Requests, runLoop } from './loop.js'
import type { Session, TrainingRecord } from './recipe.js'
import { requireFiniteWeights, saveTrainer } from './trainer-state.js'

interface Training<Batch> {
  session: Session<TrainingRecord, Batch>
  /** The ranks that train together, of which rank 0 writes; null: this process alone. */
  group: RankGroup | null
  dir: string
  start: number
  stop: number
  versions: Record<string, string>
  recording: Recording
  events: Pick<Emitter<SharedEvents>, 'emit'>
  signal: AbortSignal | undefined
  control: TrainingControl | undefined
  /** Throws where the run folder is not this run's any more; called after each checkpoint. */
  requireFolder(): Promise<void>
}

/**
 * Trains from step `start` to `stop`; returns the number of steps done.
 * @throws {MactokError} `ERR_DIVERGED`, after a checkpoint, when `maxSkipped` steps in a row, the last ones or nearly all were not finite, or
 * when the weights are not
 */
export async function train<Batch>(training: Training<Batch>): Promise<number> {
  const { session, group, dir, start, stop, versions, recording, events, signal, control, requireFolder } = training
  const { settled: config, trainer, samples, unit } = session
  const guard = new DivergenceGuard(config.maxSkipped)
  const isFirst = group?.isFirst ?? true
  // A crash may have prevented it.
  if (isFirst) await removeOlder(dir, start, config.checkpoint)
  const lacksEvaluation = await isEvaluationMissing(training)
  const log = isFirst ? new MetricsLog(dir, start) : null
  /** What all ranks do with the averaged weights. */
  const onAll = async (work: () => Promise<void>) => {
    if (!group) return work()
    if (group.sharded) await native(trainer.shareAverage())
    await group.busy(work)
    if (group.sharded) await native(trainer.release())
  }
  /** What only rank 0 does, while the others wait for its next step. */
  const onFirst = async (work: () => Promise<void>) => {
    if (!group) return work()
    if (group.sharded) await native(trainer.gather())
    if (isFirst) await group.busy(work)
    if (group.sharded) await native(trainer.release())
  }
  try {
    const done = await runLoop<Batch>({
      start,
      stop,
      signal: guard.combineWith(signal),
      control,
      ...(group && { agree: (requests: Requests) => agreeOn(group, requests) }),
      every: { log: config.log.every, checkpoint: config.checkpoint.every, ...session.every },
      batches: session.batches(start),
      step: (batch, step) => recording.step(step, () => session.step(batch, step)),
      metrics: () => native(trainer.metrics()),
      log: async (done, metrics, { steps, seconds }) => {
        const rate = (steps * config.batch) / seconds
        const epoch = (done * config.batch) / samples
        const line = { step: done, epoch, ...session.describe(metrics, done), [`${unit}PerSecond`]: rate }
        log?.write(line)
        const secondsLeft = ((stop - done) * config.batch) / rate
        events.emit('step', { ...line, steps: config.steps, secondsLeft } as SharedEvents['step'])
        guard.check(done, steps, metrics)
      },
      evaluate: (done) => onAll(async () => session.evaluate?.(done, (line) => log?.write(line))),
      lacksEvaluation,
      grid: (done) =>
        onFirst(async () => {
          const file = join(dir, 'grids', `${checkpointName(done)}.png`)
          await makeFolder(dirname(file))
          await writePng(file, await session.grid())
          events.emit('grid', { step: done, file })
        }),
      checkpoint: (done) =>
        onFirst(async () => {
          const state = { step: done, samples: done * config.batch, config, versions }
          const save = async (folder: string) => {
            const checksums = await saveTrainer(trainer, folder)
            await session.saveConfig(folder, checksums)
            return checksums
          }
          const folder = await writeCheckpoint(dir, state, save, config.checkpoint)
          events.emit('checkpoint', { step: done, folder })
          await requireFolder()
        })
    })
    guard.throwIfDiverged()
    if (done === stop && done > start) {
      guard.throwIfUntrained()
      await onFirst(() => requireFiniteWeights(trainer, checkpointFolder(dir, done)))
    }
    return done
  } finally {
    log?.close()
    await recording.end()
  }
}

/** Whether the evaluation due at the checkpoint that the run resumes from is not in its log; the same on all ranks. */
async function isEvaluationMissing<Batch>({ session, group, dir, start }: Training<Batch>): Promise<boolean> {
  const { evaluation } = session.every
  if (start === 0 || !evaluation || start % evaluation !== 0) return false
  const isMissing = () => !readMetrics(dir).some((line) => line.step === start && 'evaluation' in line)
  if (!group) return isMissing()
  // Only the first rank writes the log, and it may be alone in seeing it.
  const [missing] = (await group.agree([group.isFirst && isMissing() ? 1 : 0])) as [number]
  return missing > 0
}

/** What any rank requests happens on all of them. */
async function agreeOn(group: RankGroup, { stop, save, hold }: Requests): Promise<Requests> {
  const agreed = await group.agree([stop, save, hold].map(Number))
  const [isStop, isSave, isHold] = agreed.map((value) => value > 0) as [boolean, boolean, boolean]
  return { stop: isStop, save: isSave, hold: isHold }
}
