import type { z } from 'zod'
import { callbacks, instance, isRecord, object, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import type { RankGroup } from '../distributed/rank-group.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { NpzFile } from '../files/npz-reader.js'
import type { Tensor } from '../tensor/tensor.js'
import { Dinov2 } from './dinov2.js'
import { type GatherOptions, gather } from './gather.js'
import { frechetDistance } from './gaussian.js'
import { disposeGaussians, type Gaussians, type ImageStatistics } from './image-statistics.js'
import { type ImageStream, type ImageStreamOptions, imageKey, openImages } from './image-stream.js'
import { Inception } from './inception.js'
import { kernelDistance } from './kernel-distance.js'
import {
  type FeatureNetwork,
  featureNetworks,
  type GenerationMetric,
  generationMetrics,
  type InceptionInput,
  inceptionInputs,
  needsFeatures,
  networkOf,
  requireNumbers
} from './metric-names.js'
import type { Networks } from './networks.js'
import { precisionRecall } from './precision-recall.js'
import { generationSchema, referenceSchema } from './schema.js'
import { readStatistics, writeStatistics } from './statistics-file.js'

/** Every image's features [N, D], where they are known. */
type Features = Partial<Record<FeatureNetwork, Tensor<'float32'> | null>>

/** What generated images are compared with. */
export interface Reference extends Disposable {
  readonly name: string
  readonly gaussians: Gaussians
  /** By network; none where only statistics are known. */
  readonly features: Features
  /** The number of images; null where only statistics are known. */
  readonly images: number | null
}

export interface ReferenceOptions
  extends z.input<typeof referenceSchema>,
    Pick<GatherOptions, 'onProgress' | 'signal'>,
    Pick<ImageStreamOptions, 'onBroken' | 'onIgnored'> {
  /** Saves the statistics so far in this file, so that an interrupted call resumes. */
  partial?: string | undefined
  /** Keeps that file at the end: a later call reads it instead of the same images. Default false. */
  keep?: boolean | undefined
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
  features: featureNetworks.filter((network) =>
    metrics.some((metric) => needsFeatures(metric) && networkOf(metric) === network)
  )
})

/** Refuses networks that are none, and metrics without their network. */
function checkNetworks(networks: Networks, metrics: readonly GenerationMetric[]): void {
  const { inception, dinov2 } = networks ?? {}
  if (inception) instance('inception', 'an Inception', Inception, inception)
  if (dinov2) instance('dinov2', 'a Dinov2', Dinov2, dinov2)
  for (const metric of metrics) {
    if (!networks?.[networkOf(metric)]) {
      const expected = networkOf(metric) === 'inception' ? 'an Inception' : 'a Dinov2'
      throw invalidParameter(networkOf(metric), `${expected}, which ${metric} needs`, networks?.[networkOf(metric)])
    }
  }
}

/**
 * Reads a reference's statistics (`mu`, `sigma` of pytorch-fid; ADM's, with images beside them), or gathers them from the images of
 * an `.npz`, a folder or tars. Statistics that a file lacks are gathered from its images, where it has any.
 * @throws {TypeError | RangeError} wrong options
 */
export async function openReference(
  networks: Networks,
  path: string,
  options: ReferenceOptions = {}
): Promise<Reference> {
  object('options', 'an object', options)
  const { partial, keep = false, onProgress, signal, onBroken, onIgnored, ...settings } = options
  pathTo('path', path)
  callbacks({ onProgress, signal, onBroken })
  const { metrics, size, count, orientation, batch } = parseConfig(referenceSchema, settings)
  checkNetworks(networks, metrics)
  const wanted = statisticsFor(metrics)
  let known: Gaussians | null = null
  if (path.endsWith('.npz')) {
    await using file = await NpzFile.open(path)
    known = await readStatistics(file)
    const isComplete = (!networks.dinov2 || known?.dinov2) && wanted.features.length === 0
    if (known && (isComplete || !file.has('arr_0'))) return createReference(path, known)
  }
  try {
    await using images = await openImages(path, { size, count, orientation, onBroken, onIgnored })
    const key = partial === undefined ? '' : await gatherKey(networks, images, await imageKey(path, orientation))
    using statistics = await gather(networks, images, {
      batch,
      onProgress,
      signal,
      features: wanted.features,
      spatial: !known && wanted.spatial,
      partial: partial === undefined ? null : { file: partial, key, keep }
    })
    const gathered = await statistics.gaussians()
    const gaussians = known ? fillGaussians(known, gathered) : gathered
    return createReference(path, gaussians, await featuresOf(statistics), statistics.images)
  } catch (error) {
    if (known) disposeGaussians(known)
    throw error
  }
}

/** The known statistics, and those gathered ones that they lack; frees the others. */
function fillGaussians(known: Gaussians, gathered: Gaussians): Gaussians {
  const spare = { ...gathered }
  const filled = { ...known }
  for (const part of ['pool', 'spatial', 'dinov2'] as const) {
    if (known[part]) continue
    filled[part] = gathered[part]
    spare[part] = null
  }
  disposeGaussians(spare)
  return filled
}

const featuresOf = async (statistics: ImageStatistics): Promise<Features> => ({
  inception: await statistics.features('inception'),
  dinov2: await statistics.features('dinov2')
})

const disposeFeatures = (features: Features): void => {
  for (const each of Object.values(features)) each?.dispose()
}

const createReference = (
  name: string,
  gaussians: Gaussians,
  features: Features = {},
  images: number | null = null
): Reference => ({
  name,
  gaussians,
  features,
  images,
  [Symbol.dispose]: () => {
    disposeGaussians(gaussians)
    disposeFeatures(features)
  }
})

const gatherKey = async (
  { inception, dinov2 }: Networks,
  { total, width, height }: ImageStream,
  key: string
): Promise<string> => {
  const networks = [
    ...(inception ? [inception.key, inception.input, inception.precision] : []),
    ...(dinov2 ? [await dinov2.identity(), dinov2.precision] : [])
  ]
  return JSON.stringify([key, ...networks, total, width, height])
}

/**
 * Writes the statistics of images as a reference file, resuming an interrupted call.
 * @returns the number of images
 */
export async function referenceStatistics(
  networks: Networks,
  path: string,
  file: string,
  options: ReferenceOptions = {}
): Promise<number> {
  pathTo('file', file)
  object('networks', 'an object with inception or dinov2', networks)
  if (!file.endsWith('.npz')) throw outOfRange('file', 'a name that ends in .npz', file)
  const metrics = [
    ...(networks.inception ? (['fid', 'sfid'] as const) : []),
    ...(networks.dinov2 ? (['fdDinov2'] as const) : [])
  ]
  using reference = await openReference(networks, path, { partial: `${file}.partial`, ...options, metrics })
  if (reference.images === null) throw outOfRange('path', 'images', `${path}, which holds statistics already`)
  await writeStatistics(file, reference.gaussians, networks.inception?.input)
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
  /** The kernel distances (KID on Inception's features): unbiased, so they may be below zero. */
  kid?: number | null
  /** The Fréchet distance on DINOv2's features. */
  fdDinov2?: number | null
  kdDinov2?: number | null
  /** The weights of that DINOv2: distances of different ones cannot be compared. */
  dinov2Weights?: string
  notices: string[]
}

export interface GenerationOptions
  extends z.input<typeof generationSchema>,
    Pick<GatherOptions, 'partial' | 'onProgress' | 'signal'> {}

/**
 * Computes FID, sFID, Inception score, precision and recall of generated images with the definitions of ADM's evaluator, and Fréchet
 * and kernel distances on Inception's and DINOv2's features with those of dgm-eval.
 * @param networks - those that the metrics need
 * @throws {TypeError | RangeError} wrong options, an unknown metric, a metric without its network
 */
export async function evaluateGeneration(
  networks: Networks,
  generated: ImageStream,
  against: Reference,
  options: GenerationOptions = {}
): Promise<GenerationEvaluation> {
  object('options', 'an object', options)
  const { partial, onProgress, signal, ...settings } = options
  const { metrics, batch } = parseConfig(generationSchema, settings)
  checkNetworks(networks, metrics)
  if (typeof generated?.batches !== 'function') {
    throw invalidParameter('generated', 'images such as openImages(path) gives', generated)
  }
  if (!isRecord(against?.gaussians)) {
    throw invalidParameter('against', 'a reference such as openReference(path) gives', against)
  }
  callbacks({ onProgress, signal })
  using statistics = await gather(networks, generated, {
    ...statisticsFor(metrics),
    batch,
    onProgress,
    signal,
    partial: partial && { ...partial, key: await gatherKey(networks, generated, partial.key) }
  })
  return await compare(networks, statistics, against, metrics, signal)
}

/**
 * Evaluates images that several ranks make, each its own batches of them; null on all ranks but the first, which alone needs the reference.
 * @param group - null: this process alone
 */
export async function evaluateGenerationByRanks(
  group: RankGroup | null,
  networks: Networks,
  generated: ImageStream,
  against: Reference | null,
  options: z.input<typeof generationSchema>
): Promise<GenerationEvaluation | null> {
  const { metrics, batch } = parseConfig(generationSchema, options)
  using statistics = await gather(networks, generated, { ...statisticsFor(metrics), batch, group })
  return against && (await compare(networks, statistics, against, metrics, undefined))
}

/** The metrics that could be computed, named as in logs and tables: `gfid` for `fid`. */
export const generationNumbers = (evaluation: GenerationEvaluation): Record<string, number> =>
  Object.fromEntries(
    generationMetrics.flatMap((name): [string, number][] => {
      const value = evaluation[name]
      return typeof value === 'number' ? [[`g${name}`, value]] : []
    })
  )

async function compare(
  { inception, dinov2 }: Networks,
  statistics: ImageStatistics,
  against: Reference,
  metrics: readonly GenerationMetric[],
  signal: AbortSignal | undefined
): Promise<GenerationEvaluation> {
  const gaussians = await statistics.gaussians()
  const features = await featuresOf(statistics)
  const result: GenerationEvaluation = { images: statistics.images, notices: [] }
  const lacks = (name: string, arrays: string) => result.notices.push(`no ${name}: ${against.name} has no ${arrays}`)
  const between = async (part: keyof Gaussians) => {
    const [own, other] = [gaussians[part], against.gaussians[part]]
    return own && other ? await frechetDistance(own, other) : null
  }
  try {
    if (metrics.includes('fid')) {
      const fid = await between('pool')
      if (fid === null) lacks('FID', 'mu and sigma')
      else result.fid = fid
    }
    if (metrics.includes('sfid')) {
      result.sfid = await between('spatial')
      if (!against.gaussians.spatial) lacks('sFID', 'mu_s and sigma_s')
    }
    if (metrics.includes('is')) {
      result.is = statistics.inceptionScore
      if (inception?.classes === 0)
        result.notices.push('no Inception score: the Inception weights lack the classifier, fc')
    }
    const manifold = (['precision', 'recall'] as const).filter((name) => metrics.includes(name))
    if (manifold.length > 0) {
      const both =
        features.inception && against.features.inception
          ? await precisionRecall(against.features.inception, features.inception, { signal })
          : { precision: null, recall: null }
      for (const name of manifold) result[name] = both[name]
      if (!against.features.inception) {
        result.notices.push(`no precision and recall: ${against.name} has statistics alone, and they need images`)
      }
    }
    if (metrics.includes('fdDinov2')) {
      result.fdDinov2 = await between('dinov2')
      if (!against.gaussians.dinov2) lacks('FD-DINOv2', 'mu_dinov2 and sigma_dinov2')
    }
    for (const name of (['kid', 'kdDinov2'] as const).filter((metric) => metrics.includes(metric))) {
      const [own, other] = [features[networkOf(name)], against.features[networkOf(name)]]
      result[name] = own && other ? (await kernelDistance(other, own, { signal })).distance : null
      if (!other) {
        result.notices.push(`no ${name}: ${against.name} has statistics alone, and a kernel distance needs images`)
      }
    }
    if (dinov2) result.dinov2Weights = dinov2.name
    return requireNumbers(result)
  } finally {
    disposeGaussians(gaussians)
    disposeFeatures(features)
  }
}
