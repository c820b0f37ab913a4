/** A run from its configuration to its result, whatever it trains. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { chosenRanks, RankGroup } from '../distributed/rank-group.js'
import type { DistributedConfig } from '../distributed/schema.js'
import { MactokError, outOfRange } from '../errors.js'
import { refuseLinks } from '../files/contained.js'
import { checkGraphs, isMps, resolveDevice, slownessOf } from '../native/device.js'
import { Recording } from '../profile/recording.js'
import type { ProfileConfig } from '../profile/schema.js'
import { lockRun } from '../runs/lock.js'
import { openRun, readVersions, writeRecord } from '../runs/record.js'
import { findDataChange } from './data-change.js'
import type { Emitter } from './emitter.js'
import type { SharedEvents } from './events.js'
import type { FinishedRun, RunOptions } from './options.js'
import type { Recipe, Session, TrainingRecord } from './recipe.js'
import { Resources } from './resources.js'
import { shareOf } from './share.js'
import { train } from './train.js'
import { loadTrainer } from './trainer-state.js'
import { type Fit, requireFit } from './work/fit.js'

interface Request<R extends TrainingRecord> {
  config: R['config']
  profile: ProfileConfig | null
  /** False: this process trains alone. */
  distributed: DistributedConfig | false
  events: Pick<Emitter<SharedEvents>, 'emit' | 'startRun'>
}

/** Trains, with the other ranks where there are any. */
export async function runTraining<R extends TrainingRecord, Batch>(
  recipe: Recipe<R, Batch>,
  request: Request<R>,
  options: RunOptions
): Promise<FinishedRun> {
  try {
    return await runAmongRanks(recipe, request, options)
  } catch (error) {
    options.control?.endUnused(error)
    throw error
  }
}

async function runAmongRanks<R extends TrainingRecord, Batch>(
  recipe: Recipe<R, Batch>,
  request: Request<R>,
  options: RunOptions
): Promise<FinishedRun> {
  const { config, distributed } = request
  const ranks = chosenRanks(distributed)
  const device = resolveDevice(options.device, ranks.localRank)
  if (config.graphs !== null) checkGraphs(config.graphs, device)
  if (distributed === false || ranks.worldSize === 1) return runHere(recipe, request, options, { device, group: null })
  if (config.graphs) throw outOfRange('graphs', 'false for several ranks', config.graphs)
  if (isMps(device)) throw outOfRange('device', 'cpu or cuda for several ranks', device)
  shareOf(config, ranks)
  const group = await RankGroup.join(ranks, distributed, device)
  return group.run(() => runHere(recipe, request, options, { device, group }))
}

/** What ranks other than the first one report as well. */
const eventsOfAll: readonly string[] = ['notice', 'broken']

async function runHere<R extends TrainingRecord, Batch>(
  recipe: Recipe<R, Batch>,
  { config, profile, events }: Request<R>,
  options: RunOptions,
  { device, group }: { device: string; group: RankGroup | null }
): Promise<FinishedRun> {
  const { dir, control, stopAt = Number.POSITIVE_INFINITY } = options
  const { resume = false, allowOtherData = false, force = false } = options
  const isFirst = group?.isFirst ?? true
  const failure = events.startRun((name) => isFirst || eventsOfAll.includes(name))
  const signal = options.signal ? AbortSignal.any([options.signal, failure]) : failure
  const notice = (message: string) => events.emit('notice', { message })
  await using lock = isFirst ? await lockRun(dir) : null
  await group?.meet()
  if (lock?.takenOver) {
    notice(`${lock.takenOver} left ${dir} locked without ending its training; it is taken over`)
  }
  if (isFirst) for (const folder of [dir, join(dir, 'grids')]) await refuseLinks(folder)
  const record = await recipe.readRecord(dir)
  const { record: earlier, checkpoint } = await openRun(dir, record, config, { resume, onNotice: notice })
  await group?.requireSame(`the newest checkpoint of ${dir}`, checkpoint?.state.step ?? 0)
  await using resources = new Resources()
  let memory: Fit | null = null
  const session = await recipe.open({
    config,
    earlier,
    checkpoint,
    dir,
    device,
    group,
    resources,
    requireFit: async (work, settled) => {
      const ranks = group?.ranks.worldSize ?? 1
      const slowness = slownessOf(settled.precision, device)
      if (slowness) notice(slowness)
      memory = await requireFit(work, {
        config: settled,
        device,
        ranks,
        sharded: group?.sharded ?? false,
        force,
        notice
      })
    }
  })
  const { settled, data, trainer } = session
  await group?.requireSame(
    'what their machines made of the settings: precision, weights that were found',
    fingerprint(settled)
  )
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
  const isPrepared = await prepare(session, control ? AbortSignal.any([signal, control.stopSignal]) : signal, group)
  failure.throwIfAborted()
  if (!isPrepared) {
    control?.endUnused(new MactokError('ERR_ABORTED', 'The run ended before its first step'))
    return { dir, step: start, steps, interrupted: true }
  }

  if (checkpoint) await loadTrainer(trainer, checkpoint)
  const versions = readVersions()
  const saveRecord = () => writeRecord(dir, { formatVersion: 1, kind: recipe.kind, config, settled, data, versions })
  if (isFirst) await saveRecord()
  const requireFolder = async () => {
    if (!lock || (await lock.isHeld())) return
    await saveRecord()
    throw new MactokError(
      'ERR_FORMAT',
      `${dir} was removed, moved or locked by another process while its training ran: the newest checkpoint and run.json were written again, and the training stops`
    )
  }
  events.emit('start', { dir, step: start, steps, device, config: settled, memory, ...session.details })
  const recording = new Recording(isFirst ? profile : null, {
    start,
    stop,
    device,
    dir,
    done: (files) => events.emit('profile', files),
    notice
  })
  const step = await train({
    session,
    group,
    dir,
    start,
    stop,
    versions,
    recording,
    events,
    signal,
    control,
    requireFolder
  })
  failure.throwIfAborted()
  return { dir, step, steps, interrupted: step < stop }
}

/** 48 bits of a hash, which a double holds. */
const fingerprint = (value: object): number =>
  createHash('sha256').update(JSON.stringify(value)).digest().readUIntBE(0, 6)

/** Rank 0 prepares what is missing, and the others find it; false when a signal ended it on any of them. */
async function prepare<R extends TrainingRecord, Batch>(
  session: Session<R, Batch>,
  signal: AbortSignal | undefined,
  group: RankGroup | null
): Promise<boolean> {
  const work = async () => (session.prepare ? session.prepare(signal) : true)
  if (!group) return work()
  const isFirstReady = group.isFirst ? await group.busy(work) : true
  const [isEnded] = await group.agree([isFirstReady ? 0 : 1])
  if (isEnded) return false
  const isReady = group.isFirst || (await group.busy(work))
  const [isAnyEnded] = await group.agree([isReady ? 0 : 1])
  return !isAnyEnded
}
