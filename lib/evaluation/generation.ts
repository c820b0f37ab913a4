import type { z } from 'zod'
import { callbacks, instance, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { NpzFile } from '../files/npz-reader.js'
import type { Tensor } from '../tensor/tensor.js'
import { type GatherOptions, gather } from './gather.js'
import { frechetDistance } from './gaussian.js'
import type { ImageStatistics } from './image-statistics.js'
import { type ImageStream, type ImageStreamOptions, imageKey, openImages } from './image-stream.js'
import { Inception } from './inception.js'
import { type GenerationMetric, type InceptionInput, inceptionInputs, requireNumbers } from './metric-names.js'
import { precisionRecall } from './precision-recall.js'
import { generationSchema, referenceSchema } from './schema.js'
import { type Gaussians, readStatistics, writeStatistics } from './statistics-file.js'

/** What generated images are compared with. */
export interface Reference extends Disposable {
  readonly name: string
  readonly gaussians: Gaussians
  /** [N, 2048]; null where only statistics are known. */
  readonly features: Tensor<'float32'> | null
  /** The number of images; null where only statistics are known. */
  readonly images: number | null
}

export interface ReferenceOptions
  extends z.input<typeof referenceSchema>,
    Pick<GatherOptions, 'onProgress' | 'signal'>,
    Pick<ImageStreamOptions, 'onBroken' | 'onIgnored'> {
  /** Saves the statistics so far in this file, so that an interrupted call resumes. */
  partial?: string | undefined
}

/**
 * How images must be resized to compare with a reference: as its statistics record; as TensorFlow for those of ADM's evaluator (with
 * `mu_s`); otherwise as pytorch-fid.
 */
export async function referenceInput(path: string): Promise<InceptionInput> {
  if (!path.endsWith('.npz')) return 'pytorch'
  await using file = await NpzFile.open(path)
  if (file.has('resize')) return inceptionInputs[(await file.numbers('resize')).data[0] as number] ?? 'pytorch'
  return file.has('mu_s') ? 'tensorflow' : 'pytorch'
}

const statisticsFor = (metrics: readonly GenerationMetric[]) => ({
  spatial: metrics.includes('sfid'),
  features: metrics.includes('precision') || metrics.includes('recall')
})

/**
 * Reads a reference's statistics (`mu`, `sigma` of pytorch-fid; ADM's, with images beside them), or gathers them from the images of
 * an `.npz`, a folder or tars.
 * @throws {TypeError | RangeError} wrong options
 */
export async function openReference(
  inception: Inception,
  path: string,
  options: ReferenceOptions = {}
): Promise<Reference> {
  const { partial, onProgress, signal, onBroken, onIgnored, ...settings } = options
  instance('inception', 'an Inception', Inception, inception)
  pathTo('path', path)
  callbacks({ onProgress, signal, onBroken })
  const { metrics, size, orientation, batch } = parseConfig(referenceSchema, settings)
  const wanted = statisticsFor(metrics)
  const gathering = { batch, onProgress, signal }
  if (path.endsWith('.npz')) {
    await using file = await NpzFile.open(path)
    const gaussians = await readStatistics(file)
    if (gaussians && !(wanted.features && file.has('arr_0'))) {
      return createReference(path, gaussians, null, null)
    }
    if (gaussians) {
      await using images = await openImages(path)
      using statistics = await gather(inception, images, { ...gathering, features: true })
      return createReference(path, gaussians, await statistics.features(), statistics.images)
    }
  }
  await using images = await openImages(path, { size, orientation, onBroken, onIgnored })
  const key = partial === undefined ? '' : await gatherKey(inception, images, `${await imageKey(path)} ${orientation}`)
  using statistics = await gather(inception, images, {
    ...gathering,
    ...wanted,
    partial: partial === undefined ? null : { file: partial, key }
  })
  return createReference(path, await statistics.gaussians(), await statistics.features(), statistics.images)
}

const createReference = (
  name: string,
  gaussians: Gaussians,
  features: Tensor<'float32'> | null,
  images: number | null
): Reference => ({
  name,
  gaussians,
  features,
  images,
  [Symbol.dispose]: () => {
    gaussians.pool[Symbol.dispose]()
    gaussians.spatial?.[Symbol.dispose]()
    features?.dispose()
  }
})

const gatherKey = async (inception: Inception, { total, width, height }: ImageStream, key: string): Promise<string> =>
  JSON.stringify([key, inception.key, inception.input, inception.precision, total, width, height])

/**
 * Writes the statistics of images as a reference file, resuming an interrupted call.
 * @returns the number of images
 */
export async function referenceStatistics(
  inception: Inception,
  path: string,
  file: string,
  options: ReferenceOptions = {}
): Promise<number> {
  if (!file.endsWith('.npz')) throw outOfRange('file', 'a name that ends in .npz', file)
  const metrics = ['fid', 'sfid'] as const
  using reference = await openReference(inception, path, { partial: `${file}.partial`, ...options, metrics })
  if (reference.images === null) throw outOfRange('path', 'images', `${path}, which holds statistics already`)
  await writeStatistics(file, reference.gaussians, inception.input)
  return reference.images
}

/** Metrics of generated images; null: could not be computed, for a reason in `notices`. */
export interface GenerationEvaluation {
  images: number
  fid?: number
  sfid?: number | null
  /** The Inception score. */
  is?: number | null
  precision?: number | null
  recall?: number | null
  notices: string[]
}

export interface GenerationOptions
  extends z.input<typeof generationSchema>,
    Pick<GatherOptions, 'partial' | 'onProgress' | 'signal'> {}

/**
 * Computes FID, sFID, Inception score, precision and recall of generated images, with the definitions of ADM's evaluator.
 * @throws {TypeError | RangeError} wrong options, an unknown metric
 */
export async function evaluateGeneration(
  inception: Inception,
  generated: ImageStream,
  against: Reference,
  options: GenerationOptions = {}
): Promise<GenerationEvaluation> {
  const { partial, onProgress, signal, ...settings } = options
  instance('inception', 'an Inception', Inception, inception)
  if (typeof generated?.batches !== 'function') {
    throw invalidParameter('generated', 'images such as openImages(path) gives', generated)
  }
  callbacks({ onProgress, signal })
  const { metrics, batch } = parseConfig(generationSchema, settings)
  using statistics = await gather(inception, generated, {
    ...statisticsFor(metrics),
    batch,
    onProgress,
    signal,
    partial: partial && { ...partial, key: await gatherKey(inception, generated, partial.key) }
  })
  return await compare(inception, statistics, against, metrics, signal)
}

async function compare(
  inception: Inception,
  statistics: ImageStatistics,
  against: Reference,
  metrics: readonly GenerationMetric[],
  signal: AbortSignal | undefined
): Promise<GenerationEvaluation> {
  const { pool, spatial } = await statistics.gaussians()
  using _ = pool
  using __ = spatial
  const result: GenerationEvaluation = { images: statistics.images, notices: [] }
  if (metrics.includes('fid')) result.fid = await frechetDistance(pool, against.gaussians.pool)
  if (metrics.includes('sfid')) {
    const other = against.gaussians.spatial
    result.sfid = spatial && other ? await frechetDistance(spatial, other) : null
    if (!other) result.notices.push(`no sFID: ${against.name} has no mu_s and sigma_s`)
  }
  if (metrics.includes('is')) {
    result.is = statistics.inceptionScore
    if (inception.classes === 0)
      result.notices.push('no Inception score: the Inception weights lack the classifier, fc')
  }
  const manifold = (['precision', 'recall'] as const).filter((name) => metrics.includes(name))
  if (manifold.length > 0) {
    using features = await statistics.features()
    const both =
      features && against.features
        ? await precisionRecall(against.features, features, { signal })
        : { precision: null, recall: null }
    for (const name of manifold) result[name] = both[name]
    if (!against.features) {
      result.notices.push(`no precision and recall: ${against.name} has statistics alone, and they need images`)
    }
  }
  return requireNumbers(result)
}
