/** Trains a generator on a row's latents and measures its samples over its steps. */

import { join } from 'node:path'
import { MactokError } from '../errors.js'
import { generatedImages } from '../evaluation/generated-images.js'
import { evaluateGeneration, generationNumbers, openReference } from '../evaluation/generation.js'
import { loadNetworks } from '../evaluation/networks.js'
import { requireImages, requireWeights } from '../evaluation/prerequisites.js'
import { writeJson } from '../files/atomic.js'
import { Generator } from '../generator/generator.js'
import { resolveDevice } from '../native/device.js'
import { encodeImages } from '../pipeline/encode.js'
import { checkpointFolder } from '../runs/checkpoint.js'
import { type MetricsRecord, readMetricsList } from '../runs/metrics.js'
import type { GeneratorTrainingInput } from '../training/generator/schema.js'
import { type GeneratorTraining, trainGenerator } from '../training/generator/training.js'
import { settlePrecision } from '../training/settle.js'
import type { Measurement } from './measurement.js'
import type { AblationConfig } from './schema.js'

type Generation = NonNullable<AblationConfig['generation']>

const curveFile = (dir: string) => join(dir, 'generation.json')

/** Reads a row's metrics by the generator's steps, as lines of metrics; empty before it was measured. */
export const readGenerationCurve = (dir: string): Promise<MetricsRecord[]> => readMetricsList(curveFile(dir))

/** The steps whose checkpoints are measured. */
function measuredSteps({ steps, points }: Generation): number[] {
  const every = Math.ceil(steps / points)
  return Array.from({ length: Math.ceil(steps / every) }, (_, i) => Math.min((i + 1) * every, steps))
}

const configureGenerator = (config: Generation, seed: number): GeneratorTraining =>
  trainGenerator({ preset: config.preset, ...config.settings } as GeneratorTrainingInput).set({
    seed,
    checkpoint: { every: measuredSteps(config)[0] as number, keep: config.points },
    grid: { every: null }
  })

/**
 * Checks in advance what would otherwise fail after hours.
 * @throws {TypeError | RangeError} wrong settings, too few samples for the metrics
 * @throws {MactokError} ERR_FORMAT without the weights that the metrics need
 */
export async function checkGeneration(config: AblationConfig): Promise<void> {
  if (!config.generation) return
  configureGenerator(config.generation, 0)
  const { metrics, samples, inception, dinov2 } = config.generation
  requireImages('generation.samples', metrics, samples)
  await requireWeights('generation.metrics', metrics, { inception, dinov2 })
}

/**
 * Encodes the training images, trains a generator on them and draws from its checkpoints. Everything is kept in the run folder, so that
 * an interrupted call resumes.
 */
export const measureGeneration: Measurement = async ({
  dir,
  out,
  tokenizer,
  source,
  onBroken,
  config,
  seed,
  device,
  signal
}) => {
  if (!config.generation) return {}
  const { steps, samples, sampling, metrics, inception, dinov2, precision } = config.generation
  const latents = join(dir, 'latents')
  const run = join(dir, 'generator')
  const encoded = await encodeImages(tokenizer, source, latents, { signal, onBroken })
  const trained = encoded.interrupted
    ? encoded
    : await configureGenerator(config.generation, seed)
        .latents(latents)
        .run({ dir: run, steps, resume: true, signal, device })
  if (trained.interrupted) throw new MactokError('ERR_ABORTED', `Stopped before ${run} was trained`)

  const measuring = { precision: settlePrecision(precision, resolveDevice(device)), device }
  using networks = await loadNetworks(metrics, { inception, dinov2, ...measuring })
  const partial = join(out, 'reference.npz')
  const size = tokenizer.config.imageSize
  const gathering = { metrics, size, partial, keep: true, signal, onBroken }
  using reference = await openReference(networks, config.data, gathering)
  const curve = await readGenerationCurve(dir)
  for (const step of measuredSteps(config.generation).slice(curve.length)) {
    using generator = await Generator.load(checkpointFolder(run, step), { device })
    const images = generatedImages(generator, tokenizer, samples, { ...sampling, seed, signal })
    const result = await evaluateGeneration(networks, images, reference, { metrics, signal })
    curve.push({ step, evaluation: generationNumbers(result) })
    await writeJson(curveFile(dir), curve)
  }
  return curve.at(-1)?.evaluation as Record<string, number>
}
