/** A generator run from its configuration to its result. */

import { mkdir } from 'node:fs/promises'
import { MactokError } from '../../errors.js'
import type { GeneratorIdentity } from '../../generator/folder.js'
import { Generator } from '../../generator/generator.js'
import { nativeGeneratorConfig } from '../../generator/native-config.js'
import type { GeneratorConfig } from '../../generator/schema.js'
import { LatentShards } from '../../latents/index.js'
import type { NativeFlowTrainerConfig, Precision } from '../../native/addon.js'
import { bestPrecision, checkGraphs, resolveDevice } from '../../native/device.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { Recording } from '../../profile/recording.js'
import type { ProfileConfig } from '../../profile/schema.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import type { Emitter } from '../emitter.js'
import { checkedRunOptions, type FinishedRun, type RunOptions } from '../options.js'
import { openRun, versions, writeRun } from '../tokenizer/record.js'
import { loadTrainer } from '../trainer-state.js'
import type { GeneratorEvents } from './events.js'
import { type GeneratorRunRecord, readGeneratorRun } from './record.js'
import type { GeneratorTrainingConfig } from './schema.js'
import { trainGeneratorLoop } from './session.js'

/** A configuration in which nothing depends on machine or data any more. */
export type GeneratorSettled = GeneratorTrainingConfig & { precision: Precision }

export type GeneratorRun = FinishedRun

interface Request {
  config: GeneratorTrainingConfig
  shards: string
  /** Folder of the tokenizer that decodes sample grids. */
  tokenizer: string | null
  profile: ProfileConfig | null
  events: Emitter<GeneratorEvents>
}

/** @internal */
export async function runGeneratorTraining(request: Request, options: RunOptions): Promise<GeneratorRun> {
  const { config, profile, events } = request
  const { dir, signal, control, stopAt = config.steps, resume = false, device: wanted } = checkedRunOptions(options)
  const device = resolveDevice(wanted)
  checkGraphs(config.graphs, device)
  const { record: earlier, checkpoint } = await openRun(dir, await readGeneratorRun(dir), config, resume)
  await using shards = await LatentShards.open(request.shards, addon())
  requireSameLatents(earlier, shards)

  // A resumed run computes as it did before, even where `auto` would now choose otherwise.
  const { steps, checkpoint: saving, log, grid, maxSkipped, graphs } = config
  const settled: GeneratorSettled = earlier
    ? { ...earlier.settled, steps, checkpoint: saving, log, grid, maxSkipped, graphs }
    : { ...config, precision: config.precision === 'auto' ? bestPrecision(device) : config.precision }
  const identity = await identityOf(settled, shards)
  using tokenizer = await openTokenizer(request, identity, device)

  const create = () =>
    native(addon().createGenerator(nativeGeneratorConfig(identity.config, config.checkpointing), device, config.seed))
  const [network, ema] = [await create(), await create()]
  const trainer = await native(addon().createFlowTrainer(network, ema, trainerConfig(settled)))
  try {
    if (checkpoint) await loadTrainer(trainer, checkpoint)
    const record: GeneratorRunRecord = {
      ...{ formatVersion: 1, kind: 'generator', config, settled, versions: versions() },
      data: {
        ...{ from: request.shards, latents: shards.count },
        ...{ tokenizer: identity.tokenizer, tokenizerFrom: request.tokenizer }
      }
    }
    await mkdir(dir, { recursive: true })
    await writeRun(dir, record)
    const start = checkpoint?.state.step ?? 0
    const stop = Math.max(start, Math.min(steps, stopAt))
    const { parameters } = Generator.wrap(network, identity, 'fp32')
    const { classes } = identity.config
    const latents = shards.count
    events.emit('start', { dir, step: start, steps, latents, classes, parameters, device, config: settled })
    const recording = new Recording(profile, {
      ...{ start, stop, device, dir },
      done: (files) => events.emit('profile', files),
      notice: (message) => events.emit('notice', { message })
    })
    const step = await trainGeneratorLoop({
      dir,
      start,
      stop,
      shards,
      trainer,
      recording,
      identity,
      tokenizer,
      events,
      record,
      signal,
      control
    })
    return { dir, step, steps, interrupted: step < stop }
  } finally {
    for (const one of [trainer, network, ema]) one.dispose()
  }
}

function requireSameLatents(earlier: GeneratorRunRecord | null, shards: LatentShards): void {
  if (!earlier) return
  const { latents, tokenizer } = earlier.data
  if (latents !== shards.count || tokenizer !== (shards.tokenizer ?? null)) {
    throw new MactokError(
      'ERR_FORMAT',
      `The run was trained on ${latents} latents of another encoding than the ${shards.count} in ${shards.folder}`
    )
  }
}

async function identityOf(config: GeneratorSettled, shards: LatentShards): Promise<GeneratorIdentity> {
  const { normalise } = config.latents
  const complete: GeneratorConfig = {
    ...config.generator,
    latentShape: [...shards.sampleShape],
    classes: Math.max(1, shards.classCount),
    flow: config.flow
  }
  return {
    config: complete,
    statistics: normalise === 'none' ? null : await shards.statistics(normalise),
    classNames: shards.classes ?? null,
    tokenizer: shards.tokenizer ?? null
  }
}

/** The tokenizer of the sample grids, or null where none is given; a wrong one is refused before the training starts. */
async function openTokenizer(
  { tokenizer, config }: Request,
  identity: GeneratorIdentity,
  device: string
): Promise<Tokenizer | null> {
  if (tokenizer === null || config.grid.every === null) return null
  const loaded = await Tokenizer.load(tokenizer, { device })
  try {
    await Generator.check(identity, loaded)
    return loaded
  } catch (error) {
    loaded.dispose()
    throw error
  }
}

function trainerConfig(config: GeneratorSettled): NativeFlowTrainerConfig {
  const { seed, precision, graphs, flow, loss, timesteps, labelDropout, optimizer, ema } = config
  const { betas, eps, weightDecay, clip } = optimizer
  return {
    ...{ seed, precision, graphs, flow, loss, timesteps, labelDropout, ema },
    optimizer: { betas, eps, weightDecay, clipNorm: clip }
  }
}
