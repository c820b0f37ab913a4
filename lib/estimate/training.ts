import type { z } from 'zod'
import { text } from '../checks.js'
import { parseConfig, suggestion } from '../config.js'
import { outOfRange } from '../errors.js'
import { generatorPresets } from '../generator/presets.js'
import { tokenizerPresets } from '../tokenizer/presets.js'
import { type GeneratorTrainingInput, resolveGeneratorTraining } from '../training/generator/schema.js'
import { generatorWork } from '../training/generator/work.js'
import { resolveConfig } from '../training/tokenizer/presets.js'
import type { TrainingConfig, TrainingConfigInput } from '../training/tokenizer/schema.js'
import { totalSteps } from '../training/tokenizer/settle.js'
import { encodingFlops, tokenizerWork } from '../training/tokenizer/work.js'
import type { Precision } from '../training/work/transformer.js'
import type { Work } from '../training/work/work.js'
import { assumptions, type Estimate, type EstimateInput, estimate } from './estimate.js'
import { gpus } from './hardware.js'
import { type EstimateSettings, estimateSchema } from './schema.js'

export type { StepTime } from './estimate.js'

/** An estimate, and what follows from it for the data. */
export interface TrainingEstimate extends Estimate {
  kind: 'tokenizer' | 'generator'
  precision: Precision
  steps: number
  batch: number
  microBatch: number
  /** Parameters that train, and frozen ones. */
  parameters: { trained: number; frozen: number }
  epochs: number
  /** Bytes of a checkpoint. */
  checkpoint: number
  /** What images the run reads: bytes per second, and CPU cores that decode them. Tokenizers only. */
  data: { bytesPerSecond: number; cores: number } | null
  /**
   * Encoding all images and their mirror images: seconds on these GPUs, CPU cores that keep up with them,
   * and bytes of float32 latents. Tokenizers only.
   */
  encoding: { seconds: number; cores: number; bytes: number } | null
}

type Given = z.input<typeof estimateSchema>

/**
 * Predicts memory, time and traffic of a preset's training on GPUs.
 * @param preset - of a tokenizer or a generator
 * @param training - training settings laid over the preset's
 * @throws {TypeError | RangeError} for an unknown preset, wrong settings, and a batch that does not divide among the GPUs
 */
export function estimateTraining(
  preset: string,
  settings: Given = {},
  training: TrainingConfigInput | GeneratorTrainingInput = {}
): TrainingEstimate {
  text('preset', 'the name of a preset', preset)
  const given = parseConfig(estimateSchema, settings)
  if (Object.hasOwn(tokenizerPresets, preset)) return estimateTokenizer(preset, given, training as TrainingConfigInput)
  if (Object.hasOwn(generatorPresets, preset))
    return estimateGenerator(preset, given, training as GeneratorTrainingInput)
  const names = [...Object.keys(tokenizerPresets), ...Object.keys(generatorPresets)]
  throw outOfRange('preset', `one of ${names.join(', ')}${suggestion(preset, names)}`, preset)
}

/** The settings that an estimate's settings override. */
const overrides = ({ batch, checkpointing, steps }: EstimateSettings) => ({
  ...(batch === undefined ? {} : { batch, microBatch: null }),
  ...(checkpointing === undefined ? {} : { checkpointing }),
  ...(steps === undefined ? {} : { steps })
})

const settlePrecision = (given: EstimateSettings, own: 'auto' | Precision): Precision =>
  given.precision ?? (own === 'auto' ? 'bf16' : own)

function estimateTokenizer(preset: string, given: EstimateSettings, training: TrainingConfigInput): TrainingEstimate {
  // Steps that are given replace epochs.
  const epochs = given.steps === undefined ? {} : { epochs: null }
  const config = resolveConfig({ ...training, preset, ...overrides(given), ...epochs })
  const precision = settlePrecision(given, config.precision)
  const steps = totalSteps(config, given.images)
  const work = (adversarial: boolean) => tokenizerWork(config, { precision, attention: 'fused', adversarial })
  const hasDiscriminator = config.discriminator.weights !== null
  const adversarial = hasDiscriminator && config.discriminator.start < steps
  const early = adversarial && config.discriminator.start > 0 ? work(false) : undefined
  const input = inputOf(given, { ...config, steps, precision, work: work(adversarial) })
  const result = estimate({ ...input, early, earlySteps: config.discriminator.start })
  return complete('tokenizer', given, input, result, encodingOf(config, given, input))
}

function estimateGenerator(
  preset: string,
  given: EstimateSettings,
  training: GeneratorTrainingInput
): TrainingEstimate {
  const config = resolveGeneratorTraining({ ...training, preset, ...overrides(given) })
  const precision = settlePrecision(given, config.precision)
  const { tokens, channels, classes } = given
  const work = generatorWork(config, { precision, attention: 'fused', latentShape: [tokens, channels], classes })
  const input = inputOf(given, { ...config, precision, work })
  return complete('generator', given, input, estimate(input), null)
}

interface Settled {
  steps: number
  batch: number
  microBatch: number | null
  precision: Precision
  graphs: boolean | null
  work: Work
}

/** What `estimate` takes; without a micro-batch the largest that fits, or one sample. */
function inputOf(
  given: EstimateSettings,
  { steps, batch, microBatch, precision, graphs, work }: Settled
): EstimateInput {
  const { gpu, gpus: count, nodes, network, sharded, flops, bandwidth } = given
  const ranks = count * nodes
  if (batch % ranks !== 0) throw outOfRange('batch', `a multiple of the ${ranks} GPUs`, batch)
  const asked = given.microBatch ?? microBatch ?? undefined
  if (asked !== undefined && (batch % asked !== 0 || asked % ranks !== 0)) {
    throw outOfRange('microBatch', `a divisor of the batch (${batch}) and a multiple of the ${ranks} GPUs`, asked)
  }
  const input = {
    work,
    steps,
    batch,
    microBatch: asked ?? batch,
    precision,
    hardware: gpus[gpu],
    gpus: count,
    nodes,
    network: network * 1e9,
    sharded,
    // Conservative: they make no difference to the presets that GPUs are used for.
    graphs: graphs ?? false,
    measured: { flops: flops && flops * 1e12, bandwidth: bandwidth && bandwidth * 1e9 }
  }
  return asked === undefined ? { ...input, microBatch: Math.max(ranks, estimate(input).largestMicroBatch) } : input
}

/** Each image is encoded twice, as itself and mirrored. */
function encodingOf({ tokenizer }: TrainingConfig, given: EstimateSettings, input: EstimateInput) {
  const config = { ...resolveConfig({}), tokenizer }
  const rate = input.measured?.flops ?? assumptions.products * input.hardware.flops[input.precision]
  const seconds = (2 * given.images * encodingFlops(config)) / (rate * input.gpus * input.nodes)
  const cores = given.images / seconds / assumptions.decoded
  return { seconds, cores, bytes: 2 * 4 * given.images * tokenizer.latentTokens * tokenizer.latentChannels }
}

function complete(
  kind: TrainingEstimate['kind'],
  { images }: EstimateSettings,
  { work, steps, batch, microBatch, precision }: EstimateInput,
  result: Estimate,
  encoding: TrainingEstimate['encoding']
): TrainingEstimate {
  const { trained, averaged, frozen } = work
  const fastest = batch / (result.earlyStep ?? result.step).total
  return {
    ...result,
    kind,
    precision,
    steps,
    batch,
    microBatch,
    parameters: { trained, frozen },
    epochs: (steps * batch) / images,
    data:
      kind === 'generator'
        ? null
        : {
            bytesPerSecond: fastest * assumptions.imageBytes,
            cores: fastest / assumptions.decoded
          },
    checkpoint: (4 + 8) * trained + 4 * averaged,
    encoding
  }
}
