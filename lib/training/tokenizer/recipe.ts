/** A tokenizer run from its configuration to its result. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageSource } from '../../data/image-set.js'
import type { Broken } from '../../data/reader.js'
import { checkGraphs, resolveDevice } from '../../native/device.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { Recording } from '../../profile/recording.js'
import type { ProfileConfig } from '../../profile/schema.js'
import { FeatureCache } from '../../teacher/feature-cache.js'
import { Teacher } from '../../teacher/teacher.js'
import { startFrom } from '../../tokenizer/start-from.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import { locateWeights } from '../../weights/index.js'
import type { Emitter } from '../emitter.js'
import { checkedRunOptions, type FinishedRun, type RunOptions } from '../options.js'
import { loadTrainer } from '../trainer-state.js'
import { carryDiscriminator } from './carry-discriminator.js'
import { TrainingData } from './data.js'
import type { TrainingEvents } from './events.js'
import { findBackbone, loadNetworks } from './networks.js'
import { openRun, type RunRecord, readRun, versions, writeRun } from './record.js'
import { needsTeacher, type TrainingConfig } from './schema.js'
import { train } from './session.js'
import { type SettledConfig, settle, totalSteps, trainerConfig } from './settle.js'

export type TokenizerRun = FinishedRun

interface Request {
  config: TrainingConfig
  source: ImageSource
  heldOut: ImageSource | undefined
  profile: ProfileConfig | null
  events: Emitter<TrainingEvents>
}

/** @internal */
export async function runTokenizerTraining(request: Request, options: RunOptions): Promise<TokenizerRun> {
  const { config, source, profile, events } = request
  const { dir, signal, control, stopAt = config.steps, resume = false, device: wanted } = checkedRunOptions(options)
  const device = resolveDevice(wanted)
  checkGraphs(config.graphs, device)
  const { record: earlier, checkpoint } = await openRun(dir, await readRun(dir), config, resume)
  const backbone = earlier ? earlier.settled.discriminator.weights : await findBackbone(config)

  await using data = await TrainingData.open({ ...request, onBroken: once((broken) => events.emit('broken', broken)) })
  using teacher = await loadTeacher(earlier ? mustHave(earlier.settled) : config, device, events)
  // A resumed run computes as it did before, even where `auto` would now choose otherwise.
  const { checkpoint: saving, log, evaluation, grid, maxSkipped, graphs } = config
  const settled: SettledConfig = earlier
    ? {
        ...earlier.settled,
        steps: totalSteps(config, data.images),
        checkpoint: saving,
        log,
        evaluation,
        grid,
        maxSkipped,
        graphs
      }
    : settle(config, { images: data.images, device, teacher: teacher !== null, backbone })
  const { steps } = settled
  const record: RunRecord = {
    formatVersion: 1,
    kind: 'tokenizer',
    config,
    settled,
    data: {
      ...{ from: source.name, heldOutFrom: request.heldOut?.name ?? null },
      ...{ images: data.images, heldOut: data.heldOut }
    },
    versions: versions()
  }

  const cached = teacher ? await openCache(teacher, { settled, data, dir, events, signal }) : null
  if (cached === 'interrupted') return { dir, step: checkpoint?.state.step ?? 0, steps, interrupted: true }
  await using cache = cached

  using tokenizer = await Tokenizer.create(config.tokenizer, {
    device,
    seed: config.seed,
    encoderInit: checkpoint || config.init ? null : config.encoderInit,
    checkpointing: config.checkpointing
  })
  if (!checkpoint && config.init) await startFrom(tokenizer, config.init, { sameLatents: config.part === 'decoder' })
  await using networks = await loadNetworks(settled, device)
  const trainer = await native(
    addon().createTokenizerTrainer(tokenizer.native, teacher?.native ?? null, trainerConfig(settled), networks)
  )
  try {
    if (checkpoint) await loadTrainer(trainer, checkpoint)
    else if (config.init && config.part === 'decoder') await carryDiscriminator(trainer, config.init)
    await mkdir(dir, { recursive: true })
    await writeRun(dir, record)
    const start = checkpoint?.state.step ?? 0
    const stop = Math.max(start, Math.min(steps, stopAt))
    const { images, heldOut } = data
    events.emit('start', { dir, step: start, steps, device, config: settled, images, heldOut })
    const recording = new Recording(profile, {
      ...{ start, stop, device, dir },
      done: (files) => events.emit('profile', files),
      notice: (message) => events.emit('notice', { message })
    })
    const context = { dir, start, stop, data, teacher, cache, trainer, recording, events, record, signal, control }
    const step = await train(context)
    return { dir, step, steps, interrupted: step < stop }
  } finally {
    trainer.dispose()
  }
}

/** Tells of each image once, however often it is met. */
function once(listener: (broken: Broken) => void): (broken: Broken) => void {
  const told = new Set<string>()
  return (broken) => {
    if (told.has(broken.name)) return
    told.add(broken.name)
    listener(broken)
  }
}

/** The cache of the teacher's features that the settings ask for, complete; null without one. */
async function openCache(
  teacher: Teacher,
  {
    settled,
    data,
    dir,
    events,
    signal
  }: Pick<Request, 'events'> & {
    settled: SettledConfig
    data: TrainingData
    dir: string
    signal: AbortSignal | undefined
  }
): Promise<FeatureCache | 'interrupted' | null> {
  const { cache } = settled.teacher
  if (cache === null) return null
  const opened = await FeatureCache.open({
    folder: cache === 'auto' ? join(dir, 'teacher') : cache,
    ...{ set: data.training, teacher, signal, size: settled.tokenizer.imageSize },
    ...{ flip: settled.data.flip, precision: settled.precision },
    onProgress: (done, total) => events.emit('features', { done, total }),
    onBroken: once((broken) => events.emit('broken', broken))
  })
  return opened ?? 'interrupted'
}

/** A run that began with a teacher goes on with it or not at all. */
const mustHave = (config: SettledConfig): SettledConfig => ({
  ...config,
  teacher: { ...config.teacher, missing: 'error' }
})

/** The teacher, or null where none is needed or where it is missing and may be. */
async function loadTeacher(
  config: TrainingConfig,
  device: string,
  events: Emitter<TrainingEvents>
): Promise<Teacher | null> {
  const { weights, patchSize, missing } = config.teacher
  if (weights === null || !needsTeacher(config)) return null
  if (missing === 'skip' && !(await locateWeights(weights))) {
    const message = `The weights ${weights} were not found: training without semantic masks and alignment. Get them by \`mactok weights pull facebook/${weights}\`.`
    events.emit('notice', { message })
    return null
  }
  const grid = config.tokenizer.imageSize / config.tokenizer.patchSize
  return Teacher.load(weights, { device, grid, patchSize })
}
