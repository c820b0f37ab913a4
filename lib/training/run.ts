/** A run from its configuration to its result, whatever it trains. */

import { MactokError } from '../errors.js'
import { checkGraphs, resolveDevice } from '../native/device.js'
import { Recording } from '../profile/recording.js'
import type { ProfileConfig } from '../profile/schema.js'
import { removeRemains } from '../runs/checkpoint.js'
import { lockRun } from '../runs/lock.js'
import { openRun, readVersions, writeRecord } from '../runs/record.js'
import { findDataChange } from './data-change.js'
import type { Emitter } from './emitter.js'
import type { SharedEvents } from './events.js'
import type { FinishedRun, RunOptions } from './options.js'
import type { Recipe, TrainingRecord } from './recipe.js'
import { Resources } from './resources.js'
import { train } from './train.js'
import { loadTrainer } from './trainer-state.js'

interface Request<R extends TrainingRecord> {
  config: R['config']
  profile: ProfileConfig | null
  events: Pick<Emitter<SharedEvents>, 'emit' | 'startRun'>
}

export async function runTraining<R extends TrainingRecord, Batch>(
  recipe: Recipe<R, Batch>,
  { config, profile, events }: Request<R>,
  options: RunOptions
): Promise<FinishedRun> {
  const { dir, control, stopAt = Number.POSITIVE_INFINITY, resume = false, allowOtherData = false } = options
  const device = resolveDevice(options.device)
  checkGraphs(config.graphs, device)
  const failure = events.startRun()
  const signal = options.signal ? AbortSignal.any([options.signal, failure]) : failure
  const notice = (message: string) => events.emit('notice', { message })
  await using lock = await lockRun(dir)
  if (lock.takenOver) {
    notice(`${lock.takenOver} left ${dir} locked without ending its training; it is taken over`)
  }
  await removeRemains(dir)
  const record = await recipe.readRecord(dir)
  const { record: earlier, checkpoint } = await openRun(dir, record, config, { resume, onNotice: notice })
  await using resources = new Resources()
  const session = await recipe.open({ config, earlier, checkpoint, dir, device, resources })
  const { settled, data, trainer } = session
  const change = earlier && findDataChange(earlier.data as object, data as object)
  if (change) {
    if (!allowOtherData) {
      throw new MactokError(
        'ERR_FORMAT',
        `The run in ${dir} was trained on other data: ${change}. Resume it with the same, or with allowOtherData (--allow-other-data)`
      )
    }
    notice(`Resuming with other data: ${change}`)
  }
  const { steps } = settled
  const start = checkpoint?.state.step ?? 0
  const stop = Math.max(start, Math.min(steps, stopAt))
  const isPrepared = session.prepare ? await session.prepare(signal) : true
  failure.throwIfAborted()
  if (!isPrepared) return { dir, step: start, steps, interrupted: true }

  if (checkpoint) await loadTrainer(trainer, checkpoint)
  const versions = readVersions()
  const saveRecord = () => writeRecord(dir, { formatVersion: 1, kind: recipe.kind, config, settled, data, versions })
  await saveRecord()
  const requireFolder = async () => {
    if (await lock.isHeld()) return
    await saveRecord()
    throw new MactokError(
      'ERR_FORMAT',
      `${dir} was removed, moved or locked by another process while its training ran: the newest checkpoint and run.json were written again, and the training stops`
    )
  }
  events.emit('start', { dir, step: start, steps, device, config: settled, ...session.details })
  const recording = new Recording(profile, {
    start,
    stop,
    device,
    dir,
    done: (files) => events.emit('profile', files),
    notice
  })
  const step = await train({ session, dir, start, stop, versions, recording, events, signal, control, requireFolder })
  failure.throwIfAborted()
  return { dir, step, steps, interrupted: step < stop }
}
