/** Linear probes: how well a linear map predicts an image's class from its features. */

import type { z } from 'zod'
import { callbacks } from '../checks.js'
import { parseConfig } from '../config.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import { type ImageSet, type ImageSource, relabelledClass } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import type { Broken } from '../data/reader.js'
import { permutation } from '../data/shuffle.js'
import { spread } from '../data/spread.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { maxClasses } from '../latents/limits.js'
import type { NativeTensor, Precision } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Teacher } from '../teacher/teacher.js'
import { tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { fitSchema, probeSchema } from './schema.js'

/** `mean`: latents averaged over the tokens; `flatten`: all of them; `cls` and `patches` (their mean): a teacher's. */
export type ProbeKind = NonNullable<z.output<typeof probeSchema>['features']>

export type FitOptions = z.input<typeof fitSchema>

export interface ProbeOptions extends z.input<typeof probeSchema> {
  /** Images to validate on; without them one of `fold` in the first source is held out, at random. */
  validation?: ImageSource | undefined
  onProgress?: ((done: number, total: number) => void) | undefined
  onBroken?: ((broken: Broken) => void) | undefined
}

/** Features and classes of images. */
export interface LabelledFeatures {
  /** [n, D] */
  features: Float32Array
  /** [n] */
  labels: Int32Array
}

export interface ProbeResult {
  features: ProbeKind
  /** D */
  dimensions: number
  classes: number
  training: number
  validation: number
  /** Fractions of the images whose class is predicted. */
  trainingAccuracy: number
  validationAccuracy: number
}

export interface FittedProbe {
  trainingAccuracy: number
  validationAccuracy: number
  /** Mean cross-entropy and penalty at the end of the fit. */
  loss: number
  /** [classes, D] and [classes], for features standardised by the training ones' means and deviations. */
  weight: Float64Array
  bias: Float64Array
}

/**
 * Fits multinomial logistic regression on features standardised by the training ones, to its one optimum in double precision.
 * @throws {TypeError | RangeError} wrong options, fewer than two classes, labels out of range, features of other lengths
 */
export async function fitProbe(
  training: LabelledFeatures,
  validation: LabelledFeatures,
  options: FitOptions = {}
): Promise<FittedProbe> {
  const { l2, iterations } = parseConfig(fitSchema, options)
  const dimensions = training.features.length / training.labels.length
  for (const [name, { features, labels }] of Object.entries({ training, validation })) {
    if (labels.length === 0) throw outOfRange(name, 'one or more images', labels.length)
    if (features.length !== labels.length * dimensions || !Number.isInteger(dimensions) || dimensions === 0) {
      throw outOfRange(`${name} features`, `${dimensions} for each image`, features.length / labels.length)
    }
    if (labels.some((label) => label < 0)) throw outOfRange(`${name} labels`, 'a class for each image', -1)
  }
  const classes = 1 + [...training.labels, ...validation.labels].reduce((a, b) => Math.max(a, b), 0)
  if (classes < 2) throw outOfRange('labels', 'two or more classes', classes)
  if (classes > maxClasses) throw outOfRange('labels', `labels below ${maxClasses}`, classes - 1)
  const held = [training, validation].flatMap(({ features, labels }) => [
    addon().tensor(features, 'float32', [labels.length, dimensions], 'cpu'),
    addon().tensor(BigInt64Array.from(labels, BigInt), 'int64', [labels.length], 'cpu')
  ])
  try {
    const [x, y, others, theirs] = held as [NativeTensor, NativeTensor, NativeTensor, NativeTensor]
    const fitted = await native(addon().linearProbe(x, y, others, theirs, { classes, l2, iterations }))
    const { weight, bias, mean, deviation } = fitted
    held.push(weight, bias, mean, deviation)
    const doubles = async (values: NativeTensor) => new Float64Array(await native(values.read()))
    return {
      trainingAccuracy: fitted.trainAccuracy,
      validationAccuracy: fitted.validationAccuracy,
      loss: fitted.loss,
      weight: await doubles(weight),
      bias: await doubles(bias)
    }
  } finally {
    for (const each of held) each.dispose()
  }
}

/** Features of latents [B, L, Z], accumulated batch by batch. */
export class ProbeFeatures {
  readonly #rows: Float32Array[] = []
  readonly #labels: number[] = []

  constructor(
    private readonly kind: 'mean' | 'flatten',
    private readonly shape: { latentTokens: number; latentChannels: number }
  ) {}

  add(latents: Float32Array, labels: ArrayLike<number>): void {
    const { latentTokens: tokens, latentChannels: channels } = this.shape
    const size = tokens * channels
    for (let row = 0; row < labels.length; row++) {
      const latent = latents.slice(row * size, (row + 1) * size)
      this.#rows.push(this.kind === 'flatten' ? latent : meanOverTokens(latent, tokens, channels))
      this.#labels.push(labels[row] as number)
    }
  }

  result(): LabelledFeatures {
    const width = this.#rows[0]?.length ?? 0
    const features = new Float32Array(this.#rows.length * width)
    for (const [i, row] of this.#rows.entries()) features.set(row, i * width)
    return { features, labels: Int32Array.from(this.#labels) }
  }

  /** Fits a probe on one half of the images and validates it on the other; empty where the images have no classes. */
  async probeHalves(): Promise<{ probe?: number }> {
    const distinct = new Set(this.#labels)
    if (distinct.has(-1) || distinct.size < 2) return {}
    const { training, heldOut } = split(this.result(), 2)
    return { probe: (await fitProbe(training, heldOut)).validationAccuracy }
  }
}

function meanOverTokens(latent: Float32Array, tokens: number, channels: number): Float32Array {
  const mean = new Float32Array(channels)
  for (const [i, value] of latent.entries()) mean[i % channels] = (mean[i % channels] as number) + value / tokens
  return mean
}

/**
 * Measures the accuracy of a linear probe on a tokenizer's latents (posterior means of whole images) or a teacher's features.
 * @throws {TypeError | RangeError} wrong options, images without classes, features that the model does not have
 */
export async function probe(
  model: Tokenizer | Teacher,
  source: ImageSource,
  options: ProbeOptions = {}
): Promise<ProbeResult> {
  if (!(model instanceof Tokenizer || model instanceof Teacher)) {
    throw invalidParameter('model', 'a tokenizer or a teacher', model)
  }
  const kinds: ProbeKind[] = model instanceof Tokenizer ? ['mean', 'flatten'] : ['cls', 'patches']
  const { validation, onProgress, onBroken, ...given } = options
  callbacks({ onProgress, onBroken })
  const settings = parseConfig(probeSchema, given)
  const { features: kind = kinds[0] as ProbeKind, fold, l2, iterations } = settings
  if (!kinds.includes(kind)) throw outOfRange('features', `one of ${kinds.join(', ')}`, kind)
  const set = await asSource('source', source).open()
  let others: ImageSet | null = null
  try {
    others = validation ? await asSource('validation', validation).open() : null
    const relabelled = others && relabelledClass(set, others)
    if (relabelled) throw new RangeError(`Expected the same labels in source and validation, but ${relabelled}`)
    const gathering = { ...settings, onProgress, onBroken }
    const all = await gatherFeatures(model, kind, set, gathering)
    const { training, heldOut } = others
      ? { training: all, heldOut: await gatherFeatures(model, kind, others, gathering) }
      : split(all, fold)
    const fitted = await fitProbe(training, heldOut, { l2, iterations })
    return {
      features: kind,
      dimensions: all.features.length / all.labels.length,
      classes: new Set(all.labels).size,
      training: training.labels.length,
      validation: heldOut.labels.length,
      trainingAccuracy: fitted.trainingAccuracy,
      validationAccuracy: fitted.validationAccuracy
    }
  } finally {
    await others?.close()
    await set.close()
  }
}

/** Holds out one row of `fold`, at random, because classes may be dealt in turn. */
function split(all: LabelledFeatures, fold: number): { training: LabelledFeatures; heldOut: LabelledFeatures } {
  const order = permutation(addon().uniform, 0, 'probe', 0, all.labels.length)
  const count = Math.floor(order.length / fold)
  return { training: select(all, order.subarray(count)), heldOut: select(all, order.subarray(0, count)) }
}

function select({ features, labels }: LabelledFeatures, rows: Uint32Array): LabelledFeatures {
  const width = features.length / labels.length
  const chosen = new Float32Array(rows.length * width)
  for (const [i, row] of rows.entries()) chosen.set(features.subarray(row * width, (row + 1) * width), i * width)
  return { features: chosen, labels: Int32Array.from(rows, (row) => labels[row] as number) }
}

async function gatherFeatures(
  model: Tokenizer | Teacher,
  kind: ProbeKind,
  opened: ImageSet,
  {
    images: most,
    batch,
    precision,
    sample,
    onProgress,
    onBroken
  }: z.output<typeof probeSchema> & Pick<ProbeOptions, 'onProgress' | 'onBroken'>
): Promise<LabelledFeatures> {
  const set = spread(opened, most ?? opened.size)
  const size = model instanceof Tokenizer ? model.config.imageSize : model.config.grid * model.config.patchSize
  const rows: Float32Array[] = []
  const classes: number[] = []
  for await (const { images, indices, labels } of evaluationBatches(set, {
    size,
    batch,
    onBroken
  })) {
    using input = tensor(images, [indices.length, size, size, 3], { dtype: 'uint8' })
    rows.push(await featuresOf(model, kind, input, { precision, sample, seed: 0, firstIndex: classes.length }))
    classes.push(...labels)
    onProgress?.((indices.at(-1) as number) + 1, set.size)
  }
  if (classes.includes(-1)) throw outOfRange('source', 'images with classes', opened.name)
  const features = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const row of rows) {
    features.set(row, at)
    at += row.length
  }
  return { features, labels: Int32Array.from(classes) }
}

/** [B, D], one row after another. */
async function featuresOf(
  model: Tokenizer | Teacher,
  kind: ProbeKind,
  input: Parameters<Tokenizer['encode']>[0],
  options: { precision: Precision; sample: boolean; seed: number; firstIndex: number }
): Promise<Float32Array> {
  if (model instanceof Tokenizer) {
    using latents = await model.encode(input, options)
    const values = await latents.toFloat32()
    return kind === 'flatten' ? values : poolTokens(values, latents.shape)
  }
  const { cls, patches } = await model.features(input, { precision: options.precision })
  try {
    return kind === 'cls' ? await cls.toFloat32() : poolTokens(await patches.toFloat32(), patches.shape)
  } finally {
    cls.dispose()
    patches.dispose()
  }
}

/** [B, L, Z] averaged over L. */
function poolTokens(values: Float32Array, shape: readonly number[]): Float32Array {
  const [count, tokens, channels] = shape as [number, number, number]
  const result = new Float32Array(count * channels)
  for (let row = 0; row < count; row++) {
    const one = values.subarray(row * tokens * channels, (row + 1) * tokens * channels)
    result.set(meanOverTokens(one, tokens, channels), row * channels)
  }
  return result
}
