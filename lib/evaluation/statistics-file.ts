/**
 * Files of reference statistics: `mu` and `sigma` as in pytorch-fid, `mu_s` and `sigma_s` as in ADM's evaluator, and `mu_dinov2` and
 * `sigma_dinov2` of DINOv2's features.
 */

import { MactokError } from '../errors.js'
import type { NpzFile } from '../files/npz-reader.js'
import { writeNpz } from '../files/npz-writer.js'
import { tensor } from '../tensor/tensor.js'
import { type Arrays, type Gaussian, gaussian } from './gaussian.js'
import type { Gaussians } from './image-statistics.js'
import { POOL, SPATIAL } from './inception.js'
import { type InceptionInput, inceptionInputs } from './metric-names.js'

async function readGaussian(file: NpzFile, [mu, sigma]: [string, string], expected?: number): Promise<Gaussian> {
  const [{ shape: means }, { shape: covariances }] = [await file.describe(mu), await file.describe(sigma)]
  const width = expected ?? means[0] ?? 0
  if (`${means}` !== `${width}` || `${covariances}` !== `${[width, width]}`) {
    throw new MactokError(
      'ERR_FORMAT',
      `${mu} and ${sigma} of ${file.path} are [${means}] and [${covariances}] instead of [${width}] and [${width}, ${width}]`
    )
  }
  const [mean, covariance] = [await file.numbers(mu), await file.numbers(sigma)]
  for (const [name, { data }] of [[mu, mean] as const, [sigma, covariance] as const]) {
    if (!data.every(Number.isFinite)) {
      throw new MactokError('ERR_FORMAT', `${name} of ${file.path} has values that are not finite (NaN or infinite)`)
    }
  }
  return gaussian(tensor(mean.data, mean.shape), tensor(covariance.data, covariance.shape))
}

/** Reads the statistics of an archive; null where it has none. */
export async function readStatistics(file: NpzFile): Promise<Gaussians | null> {
  const read = async (names: [string, string], width?: number) =>
    names.every((name) => file.has(name)) ? readGaussian(file, names, width) : null
  const pool = await read(['mu', 'sigma'], POOL)
  const spatial = await read(['mu_s', 'sigma_s'], SPATIAL)
  const dinov2 = await read(['mu_dinov2', 'sigma_dinov2'])
  return pool || dinov2 ? { pool, spatial, dinov2 } : null
}

/**
 * Writes what was gathered: `mu`, `sigma`, `mu_s` and `sigma_s`, which pytorch-fid and ADM's evaluator read, `mu_dinov2` and
 * `sigma_dinov2`, and with Inception's `resize`, the index among `inceptionInputs` of how the images reached the network.
 */
export async function writeStatistics(
  file: string,
  { pool, spatial, dinov2 }: Gaussians,
  input: InceptionInput | undefined
): Promise<void> {
  const arrays = async (names: [string, string], { mean, covariance }: Gaussian): Promise<Arrays> => ({
    [names[0]]: { shape: mean.shape, data: await mean.data() },
    [names[1]]: { shape: covariance.shape, data: await covariance.data() }
  })
  await writeNpz(file, {
    ...(pool && (await arrays(['mu', 'sigma'], pool))),
    ...(spatial && (await arrays(['mu_s', 'sigma_s'], spatial))),
    ...(dinov2 && (await arrays(['mu_dinov2', 'sigma_dinov2'], dinov2))),
    ...(input && { resize: { shape: [1], data: Int32Array.of(inceptionInputs.indexOf(input)) } })
  })
}
