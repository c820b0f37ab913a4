/** What happens between the start of a generator run and its last checkpoint. */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { grid, writePng } from '../../data/image.js'
import { toImages } from '../../data/levels.js'
import { type GeneratorIdentity, writeGeneratorConfig } from '../../generator/folder.js'
import { Generator } from '../../generator/generator.js'
import type { LatentShards } from '../../latents/index.js'
import type { NativeFlowTrainer } from '../../native/addon.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import type { Recording } from '../../profile/recording.js'
import { checkpointName, writeCheckpoint } from '../../runs/checkpoint.js'
import { MetricsLog, type MetricsRecord } from '../../runs/metrics.js'
import type { Tokenizer } from '../../tokenizer/tokenizer.js'
import type { TrainingControl } from '../control.js'
import { DivergenceGuard, isNonFinite, nonFinite } from '../divergence.js'
import type { Emitter } from '../emitter.js'
import { runLoop } from '../loop.js'
import { learningRate } from '../schedules.js'
import { saveTrainer } from '../trainer-state.js'
import type { GeneratorEvents, GeneratorStepEvent } from './events.js'
import { type LatentBatch, latentBatches } from './latent-batches.js'
import type { GeneratorSettled } from './recipe.js'
import type { GeneratorRunRecord } from './record.js'

interface Training {
  dir: string
  start: number
  stop: number
  shards: LatentShards
  trainer: NativeFlowTrainer
  recording: Recording
  identity: GeneratorIdentity
  tokenizer: Tokenizer | null
  events: Emitter<GeneratorEvents>
  record: GeneratorRunRecord
  signal: AbortSignal | undefined
  control: TrainingControl | undefined
}

/**
 * Trains from step `start` to `stop`; returns the number of steps done.
 * @throws {MactokError} `ERR_DIVERGED`, after a checkpoint, when `maxSkipped` steps in a row were not finite
 */
export async function trainGeneratorLoop(training: Training): Promise<number> {
  const { dir, start, stop, shards, trainer, recording, identity, tokenizer, events, record, signal, control } =
    training
  const config = record.settled
  const log = new MetricsLog(dir, start)
  let since = performance.now()
  let logged = start
  const guard = new DivergenceGuard(config.maxSkipped)
  try {
    const done = await runLoop({
      ...{ start, stop, signal: guard.signalWith(signal), control },
      held: (duration) => {
        since += duration
      },
      batches: latentBatches(shards, {
        ...{ batch: config.batch, seed: config.seed, flip: config.latents.flip },
        ...{ statistics: identity.statistics, startStep: start }
      }),
      every: {
        log: config.log.every,
        checkpoint: config.checkpoint.every,
        evaluation: tokenizer ? config.grid.every : null
      },
      step: (batch, step) =>
        recording.step(step, () => runStep(trainer, batch, config, identity.config.latentShape, step)),
      log: async (done) => {
        const metrics = await native(trainer.metrics())
        const latentsPerSecond = ((done - logged) * config.batch * 1000) / (performance.now() - since)
        const line = { ...describe(metrics, config, done, shards.count), latentsPerSecond }
        log.write(line)
        const secondsLeft = ((stop - done) * config.batch) / latentsPerSecond
        events.emit('step', { ...line, steps: config.steps, secondsLeft } as GeneratorStepEvent)
        logged = done
        since = performance.now()
        guard.check(done, metrics)
      },
      evaluate: async (done) => {
        const file = await writeGrid(training, done)
        events.emit('grid', { step: done, file })
        since = performance.now()
      },
      checkpoint: async (done) => {
        const state = { step: done, samples: done * config.batch, config, versions: record.versions }
        const save = async (folder: string) => {
          await saveTrainer(trainer, folder)
          await writeGeneratorConfig(folder, identity)
        }
        const folder = await writeCheckpoint(dir, state, save, config.checkpoint)
        events.emit('checkpoint', { step: done, folder })
        since = performance.now()
      }
    })
    guard.throwIfDiverged()
    return done
  } finally {
    log.close()
    await recording.end()
  }
}

const rate = ({ optimizer: { lr, warmup, final }, steps }: GeneratorSettled, step: number) =>
  learningRate(step, { peak: lr, warmup, steps, final })

/** Queues one step; the latents are copied before this returns. */
async function runStep(
  trainer: NativeFlowTrainer,
  batch: LatentBatch,
  config: GeneratorSettled,
  shape: readonly number[],
  step: number
): Promise<void> {
  const size = config.microBatch ?? config.batch
  const latents = addon().tensor(batch.latents, 'float32', [config.batch, ...shape], 'cpu')
  const labels = addon().tensor(batch.labels, 'int64', [config.batch], 'cpu')
  const parts = Array.from({ length: config.batch / size }, (_, i) => ({
    latents: latents.slice(i * size, (i + 1) * size),
    labels: labels.slice(i * size, (i + 1) * size)
  }))
  try {
    await native(trainer.step(parts, { step, lr: rate(config, step) }))
  } finally {
    for (const tensor of [latents, labels, ...parts.flatMap((part) => [part.latents, part.labels])]) tensor.dispose()
  }
}

/** A grid of samples from the averaged weights, the same noise and classes every time. */
async function writeGrid({ dir, trainer, identity, tokenizer, record }: Training, done: number): Promise<string> {
  const { images: count, steps, guidance } = record.settled.grid
  const { precision, seed } = record.settled
  const generator = Generator.wrap(trainer.ema, identity, precision)
  const { classes } = identity.config
  const { latents, images } = await generator.sample({
    ...{ count, steps, guidance, seed, sampler: 'heun', tokenizer: tokenizer as Tokenizer, force: true },
    classes: Array.from({ length: Math.min(count, classes) }, (_, i) => i)
  })
  const file = join(dir, 'grids', `${checkpointName(done)}.png`)
  await mkdir(dirname(file), { recursive: true })
  if (images) {
    const columns = Math.min(count, classes > 1 && classes <= 16 ? classes : 8)
    await writePng(file, await grid(toImages(await images.data(), images.shape), columns))
  }
  for (const tensor of [latents, images]) tensor?.dispose()
  return file
}

const losses = ['total', 'flow', 'direction']

/** A line of the metrics log. */
function describe(
  metrics: Record<string, number>,
  config: GeneratorSettled,
  done: number,
  latents: number
): MetricsRecord {
  const { steps: _, ...values } = metrics
  const others = Object.entries(values).filter(([name]) => !losses.includes(name) && !isNonFinite(name))
  const broken = nonFinite(values)
  return {
    step: done,
    epoch: (done * config.batch) / latents,
    loss: Object.fromEntries(losses.flatMap((name) => (name in values ? [[name, values[name] as number]] : []))),
    ...(Object.keys(broken).length > 0 && { nonFinite: broken }),
    ...Object.fromEntries(others),
    lr: rate(config, done - 1)
  }
}
