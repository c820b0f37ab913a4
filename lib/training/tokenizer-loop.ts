/** What happens between the start of a tokenizer run and its last checkpoint. */

import type { TrainBatch } from '../data/train-batches.js'
import { MactokError } from '../errors.js'
import type { NativeStepOptions, NativeTokenizerTrainer } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { writeModelConfig } from '../tokenizer/folder.js'
import { writeCheckpoint } from './checkpoint.js'
import type { TrainingControl } from './control.js'
import type { TrainingData } from './data.js'
import type { Emitter } from './emitter.js'
import { runLoop } from './loop.js'
import { MetricsLog, type MetricsRecord } from './metrics.js'
import type { RunRecord } from './run.js'
import { klWeight, learningRate, warmedUp } from './schedules.js'
import type { SettledConfig } from './settle.js'
import { saveTrainer } from './trainer-state.js'
import type { StepEvent, TrainingEvents } from './training-events.js'

interface Training {
  dir: string
  start: number
  stop: number
  data: TrainingData
  trainer: NativeTokenizerTrainer
  events: Emitter<TrainingEvents>
  record: RunRecord
  signal: AbortSignal | undefined
  control: TrainingControl | undefined
}

/**
 * Trains from step `start` to `stop`; returns the number of steps done.
 * @throws {MactokError} `ERR_DIVERGED`, after a checkpoint, when `maxSkipped` steps in a row were not finite
 */
export async function train(training: Training): Promise<number> {
  const { dir, start, stop, data, trainer, events, record, signal, control } = training
  const config = record.settled
  const log = new MetricsLog(dir, start)
  let since = performance.now()
  let logged = start
  const write = (line: MetricsRecord) => log.write(line)
  const diverged = new AbortController()

  try {
    const done = await runLoop({
      start,
      stop,
      signal: signal ? AbortSignal.any([signal, diverged.signal]) : diverged.signal,
      control,
      held: (duration) => {
        since += duration
      },
      batches: data.batches(start),
      every: {
        log: config.log.every,
        checkpoint: config.checkpoint.every,
        evaluation: data.heldOut > 0 ? config.evaluation.every : null
      },
      step: (batch, step) => runStep(trainer, batch, config, schedule(config, step)),
      log: async (done) => {
        const metrics = await native(trainer.metrics())
        const picturesPerSecond = ((done - logged) * config.batch * 1000) / (performance.now() - since)
        const line = { ...describe(metrics, config, done, data.pictures), picturesPerSecond }
        write(line)
        const secondsLeft = ((stop - done) * config.batch) / picturesPerSecond
        events.emit('step', { ...line, steps: config.steps, secondsLeft } as StepEvent)
        logged = done
        since = performance.now()
        const inARow = metrics.skippedInARow ?? 0
        if (inARow >= config.maxSkipped) diverged.abort(divergence(done, inARow, metrics))
      },
      evaluate: async (done) => {
        const result = await data.evaluate(trainer.ema, config.precision)
        const { pictures: _, klPerChannel, ...evaluation } = result
        write({
          step: done,
          evaluation,
          ...(klPerChannel && { klPerChannel: Object.fromEntries(klPerChannel.entries()) })
        })
        events.emit('evaluation', { step: done, ...result })
        since = performance.now()
      },
      checkpoint: async (done) => {
        const state = { step: done, samples: done * config.batch, config, versions: record.versions }
        const save = async (folder: string) => {
          await saveTrainer(trainer, folder)
          await writeModelConfig(folder, config.tokenizer)
        }
        const folder = await writeCheckpoint(dir, state, save, config.checkpoint)
        events.emit('checkpoint', { step: done, folder })
        since = performance.now()
      }
    })
    if (diverged.signal.aborted) throw diverged.signal.reason
    return done
  } finally {
    log.close()
  }
}

/** What depends on the step alone. */
function schedule({ optimizer, steps, loss, discriminator }: SettledConfig, step: number): NativeStepOptions {
  const { lr: peak, warmup, final } = optimizer
  const { reconstruction, perceptual, adversarial, kl, alignment } = loss.weights
  const judged = discriminator.weights !== null && step >= discriminator.start
  return {
    step,
    lr: learningRate(step, { peak, warmup, steps, final }),
    weights: {
      reconstruction,
      kl: klWeight(step, kl, loss.klAnneal),
      alignment,
      perceptual: loss.perceptual.weights === null ? 0 : warmedUp(step, perceptual, loss.perceptual.warmup),
      adversarial: judged ? adversarial : 0
    }
  }
}

/** Tells which terms were not finite. */
function divergence(step: number, inARow: number, metrics: Record<string, number>): MactokError {
  const terms = Object.keys(metrics).flatMap((name) => (name.startsWith(broken) ? [name.slice(broken.length)] : []))
  return new MactokError(
    'ERR_DIVERGED',
    `Stopped at step ${step}: the last ${inARow} steps changed nothing, because they were not finite (${terms.join(', ')}). Their checkpoint has the last finite weights.`
  )
}

/** Queues one step; the pictures are copied before this returns. */
async function runStep(
  trainer: NativeTokenizerTrainer,
  { images }: TrainBatch,
  { batch, microBatch, tokenizer: { imageSize } }: SettledConfig,
  options: NativeStepOptions
): Promise<void> {
  const size = microBatch ?? batch
  const pictures = addon().tensor(images, 'uint8', [batch, imageSize, imageSize, 3], 'cpu')
  const parts = Array.from({ length: batch / size }, (_, i) => pictures.slice(i * size, (i + 1) * size))
  try {
    await native(trainer.step(parts, options))
  } finally {
    for (const tensor of [pictures, ...parts]) tensor.dispose()
  }
}

const losses = ['total', 'reconstruction', 'perceptual', 'adversarial', 'kl', 'alignLocal', 'alignGlobal']

/** Metrics of the discriminator under the names that they have in its group of a line. */
const ofDiscriminator: Record<string, string> = {
  discriminator: 'loss',
  discriminatorGradNorm: 'gradNorm',
  discriminatorSkipped: 'skipped',
  discriminatorCalls: 'calls',
  ...Object.fromEntries(
    ['consistency', 'lecam', 'logitsReal', 'logitsFake', 'accuracyReal', 'accuracyFake'].map((name) => [name, name])
  )
}

const broken = 'nonFinite.'

/** A line of the metrics log. */
function describe(
  metrics: Record<string, number>,
  config: SettledConfig,
  done: number,
  pictures: number
): MetricsRecord {
  const { steps: _, ...values } = metrics
  const groups: Record<'loss' | 'discriminator' | 'nonFinite', Record<string, number>> = {
    loss: Object.fromEntries(losses.flatMap((name) => (name in values ? [[name, values[name] as number]] : []))),
    discriminator: {},
    nonFinite: {}
  }
  const others: Record<string, number> = {}
  for (const [name, value] of Object.entries(values)) {
    if (name.startsWith(broken)) groups.nonFinite[name.slice(broken.length)] = value
    else if (ofDiscriminator[name]) groups.discriminator[ofDiscriminator[name]] = value
    else if (!losses.includes(name)) others[name] = value
  }
  const { lr, weights } = schedule(config, done - 1)
  return {
    step: done,
    epoch: (done * config.batch) / pictures,
    ...Object.fromEntries(Object.entries(groups).filter(([, group]) => Object.keys(group).length > 0)),
    ...others,
    lr,
    klWeight: weights.kl
  }
}
