/** Describes latents: where images lie, which units carry information, and what each token does to the image. */

import { join } from 'node:path'
import type { z } from 'zod'
import { callbacks, object, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import type { ImageSource } from '../data/image-set.js'
import { writeJson, writeText } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { lineChart } from '../plot/line-chart.js'
import { scatterPlot } from '../plot/scatter-plot.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { drawControls, drawInterpolation, type TokenControl } from './latent-images.js'
import { checkSamples, type LatentSamples } from './latent-samples.js'
import { mutualInformation } from './mutual-information.js'
import { isActive } from './posterior.js'
import { latentSpaceSchema } from './schema.js'

export interface LatentSpaceOptions extends z.input<typeof latentSpaceSchema> {
  /** Decodes perturbed latents of these images. Default: no such grids. */
  decoder?: { tokenizer: Tokenizer; images: ImageSource } | undefined
  /** Called when a stage begins. */
  onStage?: (stage: string) => void
}

/** What latents say without drawing anything. */
export interface LatentSummary {
  images: number
  tokens: number
  channels: number
  /** Fraction of the units whose mean varies: Var_x(μ) > 0.01. */
  activeUnits: number
  /** The fraction of each token's units that are active. */
  activeUnitsPerToken: number[]
  /** The variance of the means over images, mean over the units of a token, and of a channel. */
  variancePerToken: number[]
  variancePerChannel: number[]
  /** Nats, mean over the images; absent where the posterior is not known. */
  klPerToken?: number[]
  klPerChannel?: number[]
  /** Estimates of the information about the image, in nats, of all latents and of each token: see `mutualInformation`. */
  mutualInformation?: number
  mutualInformationPerToken?: number[]
  /** Mean-pooled latents on their first two principal axes, and the fraction of the variance along each axis. */
  pca: { points: [number, number][]; explained: number[] }
  labels: number[]
  classes: readonly string[] | null
}

export interface LatentSpace extends LatentSummary {
  umap: [number, number][] | null
  /** What the perturbed tokens do, one list per image; absent without a decoder. */
  controls?: TokenControl[][]
  files: string[]
}

/**
 * Describes latents in a folder: `latents.json`, plots of PCA, UMAP and KL, and with a decoder grids of what single tokens control and
 * of interpolations between images.
 * @throws {TypeError | RangeError} wrong options
 */
export async function describeLatents(
  samples: LatentSamples,
  folder: string,
  options: LatentSpaceOptions = {}
): Promise<LatentSpace> {
  object('options', 'an object', options)
  const { decoder, onStage, ...settings } = options
  checkSamples('samples', samples)
  const { count, tokens, channels } = samples
  pathTo('folder', folder)
  callbacks({ onStage })
  const { tokens: perturbed, neighbours, seed } = parseConfig(latentSpaceSchema, settings)
  await makeFolder(folder)
  const files: string[] = []
  const write = async (name: string, svg: string) => {
    await writeText(join(folder, name), svg)
    files.push(name)
  }

  onStage?.('variance, KL and mutual information')
  const summary = await summariseLatents(samples)
  const { pca, klPerToken, klPerChannel, mutualInformationPerToken, labels, classes } = summary
  const plot = (title: string, places: readonly [number, number][], axes: [string, string]) =>
    scatterPlot({
      title,
      classes,
      xLabel: axes[0],
      yLabel: axes[1],
      points: places.map(([x, y], i) => ({ x, y, label: labels[i] as number }))
    })
  const [first, second] = pca.explained.map((part) => `${(100 * part).toFixed(0)} % of the variance`)
  await write('pca.svg', plot('Mean latents, principal components', pca.points, [first ?? '', second ?? '']))

  let umap: [number, number][] | null = null
  if (neighbours > 0 && count > neighbours + 1) {
    onStage?.('UMAP')
    umap = await projectByUmap(poolTokens(samples), count, channels, neighbours, seed)
    await write('umap.svg', plot('Mean latents, UMAP', umap, ['', '']))
  }
  const curves = (title: string, xLabel: string, values: Record<string, readonly number[]>) =>
    lineChart({
      title,
      xLabel,
      yLabel: 'nats',
      series: Object.entries(values).map(([name, each]) => ({ name, points: each.map((y, x) => ({ x, y })) }))
    })
  if (klPerToken && klPerChannel && mutualInformationPerToken) {
    const byToken = { KL: klPerToken, 'mutual information': mutualInformationPerToken }
    if (tokens > 1) await write('kl-tokens.svg', curves('KL by token', 'token', byToken))
    if (channels > 1) await write('kl-channels.svg', curves('KL by channel', 'channel', { KL: klPerChannel }))
  }

  let controls: TokenControl[][] | undefined
  if (decoder) {
    onStage?.('what tokens control')
    const drawn = await drawControls(decoder.tokenizer, decoder.images, samples, folder, Math.min(perturbed, tokens))
    controls = drawn.controls
    onStage?.('interpolation')
    files.push(...drawn.files, ...(await drawInterpolation(decoder.tokenizer, decoder.images, folder)))
  }
  const result: LatentSpace = {
    ...summary,
    umap,
    ...(controls && { controls }),
    files: [...files, 'latents.json']
  }
  await writeJson(join(folder, 'latents.json'), { formatVersion: 1, ...result })
  return result
}

/** @internal Summarises latents: variance, KL and mutual information by token, active units, principal components. */
export async function summariseLatents(samples: LatentSamples): Promise<LatentSummary> {
  const { count, tokens, channels, means, logvars, labels, classes } = samples
  const units = { tokens, channels }
  const variance = unitVariance(samples)
  const active = variance.map((value) => Number(isActive(value)))
  const kl = unitKl(samples)
  const information = logvars && (await mutualInformation({ count, tokens, channels, means, logvars }))
  return {
    images: count,
    tokens,
    channels,
    activeUnits: active.reduce((sum, unit) => sum + unit, 0) / active.length,
    activeUnitsPerToken: sumPer('token', active, units).map((sum) => sum / channels),
    variancePerToken: sumPer('token', variance, units).map((value) => value / channels),
    variancePerChannel: sumPer('channel', variance, units).map((value) => value / tokens),
    ...(kl && { klPerToken: sumPer('token', kl, units), klPerChannel: sumPer('channel', kl, units) }),
    ...(information && {
      mutualInformation: information.total,
      mutualInformationPerToken: information.perToken
    }),
    pca: await principalComponents(poolTokens(samples), count, channels),
    labels: Array.from(labels),
    classes
  }
}

/** Variance of each unit's mean over the images, [tokens · channels]. */
function unitVariance({ means, count, tokens, channels }: LatentSamples): Float64Array {
  const units = tokens * channels
  const sum = new Float64Array(units)
  for (let i = 0; i < means.length; i++) sum[i % units] = (sum[i % units] as number) + (means[i] as number)
  const squares = new Float64Array(units)
  for (let i = 0; i < means.length; i++) {
    const unit = i % units
    squares[unit] = (squares[unit] as number) + ((means[i] as number) - (sum[unit] as number) / count) ** 2
  }
  return squares.map((value) => value / count)
}

/** KL of each unit from N(0, 1), mean over the images; null where the posterior is not known. */
function unitKl({ means, logvars, count, tokens, channels }: LatentSamples): Float64Array | null {
  if (!logvars) return null
  const kl = new Float64Array(tokens * channels)
  for (let i = 0; i < means.length; i++) {
    const [mean, logvar] = [means[i] as number, logvars[i] as number]
    const unit = i % kl.length
    kl[unit] = (kl[unit] as number) + (mean * mean + Math.exp(logvar) - 1 - logvar) / 2
  }
  return kl.map((value) => value / count)
}

/** The sum of the units of each token, or of each channel. */
function sumPer(
  what: 'token' | 'channel',
  values: Float64Array,
  { tokens, channels }: { tokens: number; channels: number }
): number[] {
  const sums = new Array<number>(what === 'token' ? tokens : channels).fill(0)
  for (const [unit, value] of values.entries()) {
    const index = what === 'token' ? Math.floor(unit / channels) : unit % channels
    sums[index] = (sums[index] as number) + value
  }
  return sums
}

/** Means over the tokens, [count, channels]. */
function poolTokens({ means, count, tokens, channels }: LatentSamples): Float32Array {
  const result = new Float32Array(count * channels)
  for (let i = 0; i < means.length; i++) {
    const to = Math.floor(i / (tokens * channels)) * channels + (i % channels)
    result[to] = (result[to] as number) + (means[i] as number) / tokens
  }
  return result
}

const rounded = (value: number) => Number(value.toPrecision(5))

async function principalComponents(points: Float32Array, count: number, channels: number): Promise<LatentSpace['pca']> {
  const input = addon().tensor(points, 'float32', [1, count, channels], 'cpu')
  const { mean, axes, deviations, scores } = await native(addon().principalComponents(input, channels))
  const values = new Float32Array(await native(scores.read()))
  const variances = Array.from(new Float32Array(await native(deviations.read())), (value) => value ** 2)
  for (const tensor of [input, mean, axes, deviations, scores]) tensor.dispose()
  const total = variances.reduce((sum, value) => sum + value, 0) || 1
  const score = (i: number, k: number) => (k < channels ? rounded(values[i * channels + k] as number) : 0)
  return {
    points: Array.from({ length: count }, (_, i) => [score(i, 0), score(i, 1)]),
    explained: variances.slice(0, 2).map((value) => rounded(value / total))
  }
}

/** UMAP in two dimensions; the same for the same seed. */
async function projectByUmap(
  points: Float32Array,
  count: number,
  channels: number,
  neighbours: number,
  seed: number
): Promise<[number, number][]> {
  const { UMAP } = await import('umap-js')
  let drawn = 0
  let draws: Float32Array = new Float32Array(0)
  const random = () => {
    if (drawn % 4_096 === 0) draws = addon().uniform(seed, 'umap', 0, drawn / 4_096, 1, 4_096)
    return draws[drawn++ % 4_096] as number
  }
  const rows = Array.from({ length: count }, (_, i) => [...points.subarray(i * channels, (i + 1) * channels)])
  const places = new UMAP({ nComponents: 2, nNeighbors: neighbours, random }).fit(rows)
  return places.map(([x, y]) => [rounded(x as number), rounded(y as number)])
}
