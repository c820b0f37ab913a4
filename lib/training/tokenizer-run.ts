/** A tokenizer run from its configuration to its result. */

import { mkdir } from 'node:fs/promises'
import type { ImageSource } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Teacher } from '../teacher/teacher.js'
import { startFrom } from '../tokenizer/start-from.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { locateWeights } from '../weights/index.js'
import { carryDiscriminator } from './carry-discriminator.js'
import { type Checkpoint, newestCheckpoint } from './checkpoint.js'
import { TrainingControl } from './control.js'
import { TrainingData } from './data.js'
import type { Emitter } from './emitter.js'
import { findBackbone, loadNetworks } from './networks.js'
import { conflict, type RunRecord, readRun, versions, writeRun } from './run.js'
import { needsTeacher, type TrainingConfig } from './schema.js'
import { type SettledConfig, settle, totalSteps, trainerConfig } from './settle.js'
import { train } from './tokenizer-loop.js'
import { loadTrainer } from './trainer-state.js'
import type { TrainingEvents } from './training-events.js'

export interface RunOptions {
  /** The run folder. */
  dir: string
  /** Steps of the whole run, instead of the configuration's. */
  steps?: number | undefined
  /** Stop after this step with a checkpoint, as if interrupted; the schedules still span all steps. */
  stopAt?: number | undefined
  /** Go on from the folder's newest complete checkpoint; start anew where there is none. */
  resume?: boolean | undefined
  /** `auto` (default), `cpu`, `cuda`, `cuda:1`. */
  device?: string | undefined
  /** Stops between two steps, after a checkpoint. */
  signal?: AbortSignal | undefined
  /** Pauses, resumes, asks for checkpoints and stops, from outside. */
  control?: TrainingControl | undefined
}

export interface TokenizerRun {
  dir: string
  /** Steps done; fewer than `steps` after an interruption or `stopAt`. */
  step: number
  steps: number
  interrupted: boolean
}

interface Request {
  config: TrainingConfig
  source: ImageSource
  heldOut: ImageSource | undefined
  events: Emitter<TrainingEvents>
}

/** @internal */
export async function runTokenizerTraining(request: Request, options: RunOptions): Promise<TokenizerRun> {
  const { config, source, events } = request
  const { dir, signal, control, stopAt = config.steps, resume = false, device: wanted } = checkedRunOptions(options)
  const device = resolveDevice(wanted)
  const { record: earlier, checkpoint } = await openRun(dir, config, resume)
  const backbone = earlier ? earlier.settled.discriminator.weights : await findBackbone(config)

  await using data = await TrainingData.open({ ...request, onBroken: once((broken) => events.emit('broken', broken)) })
  using teacher = await loadTeacher(earlier ? mustHave(earlier.settled) : config, device, events)
  // A resumed run computes as it did before, even where `auto` would now choose otherwise.
  const { checkpoint: saving, log, evaluation, maxSkipped } = config
  const settled: SettledConfig = earlier
    ? { ...earlier.settled, steps: totalSteps(config, data.pictures), checkpoint: saving, log, evaluation, maxSkipped }
    : settle(config, { pictures: data.pictures, device, teacher: teacher !== null, backbone })
  const { steps } = settled
  const record: RunRecord = {
    formatVersion: 1,
    kind: 'tokenizer',
    config,
    settled,
    data: {
      ...{ from: source.name, heldOutFrom: request.heldOut?.name ?? null },
      ...{ pictures: data.pictures, heldOut: data.heldOut }
    },
    versions: versions()
  }

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
    const { pictures, heldOut } = data
    events.emit('start', { dir, step: start, steps, device, config: settled, pictures, heldOut })
    const step = await train({ dir, start, stop, data, trainer, events, record, signal, control })
    return { dir, step, steps, interrupted: step < stop }
  } finally {
    trainer.dispose()
  }
}

/** @internal */
export function checkedRunOptions(options: RunOptions): RunOptions {
  const { dir, stopAt, resume, signal, control } = options ?? {}
  if (typeof dir !== 'string' || dir === '') throw invalidParameter('dir', 'a folder for the run', dir)
  if (stopAt !== undefined && !(Number.isInteger(stopAt) && stopAt > 0))
    throw outOfRange('stopAt', 'a positive integer', stopAt)
  if (resume !== undefined && typeof resume !== 'boolean') throw invalidParameter('resume', 'a boolean', resume)
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidParameter('signal', 'an AbortSignal', signal)
  if (control !== undefined && !(control instanceof TrainingControl))
    throw invalidParameter('control', 'a TrainingControl', control)
  return options
}

/** What a run folder holds already; refuses to mix two runs. */
async function openRun(
  dir: string,
  config: TrainingConfig,
  resume: boolean
): Promise<{ record: RunRecord | null; checkpoint: Checkpoint | null }> {
  const record = await readRun(dir)
  const checkpoint = await newestCheckpoint(dir)
  if (!resume) {
    if (checkpoint)
      throw outOfRange('dir', `a folder without a run (or resume: it has one at step ${checkpoint.state.step})`, dir)
    return { record: null, checkpoint: null }
  }
  // A run that never reached a checkpoint starts anew.
  if (!record || !checkpoint) return { record: null, checkpoint: null }
  const difference = conflict(record.config, config)
  if (difference) throw outOfRange('settings', `those of the run in ${dir}`, difference)
  return { record, checkpoint }
}

/** Tells of each picture once, however often it is met. */
function once(listener: (broken: Broken) => void): (broken: Broken) => void {
  const told = new Set<string>()
  return (broken) => {
    if (told.has(broken.name)) return
    told.add(broken.name)
    listener(broken)
  }
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
  if (!needsTeacher(config)) return null
  const { weights, patchSize, missing } = config.teacher
  if (missing === 'skip' && !(await locateWeights(weights))) {
    const message = `The weights ${weights} were not found: training without semantic masks and alignment. Get them by \`mactok weights pull facebook/${weights}\`.`
    events.emit('notice', { message })
    return null
  }
  const grid = config.tokenizer.imageSize / config.tokenizer.patchSize
  return Teacher.load(weights, { device, grid, patchSize })
}
