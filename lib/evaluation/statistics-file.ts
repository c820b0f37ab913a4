/** Files of reference statistics: `mu` and `sigma` as in pytorch-fid, and `mu_s` and `sigma_s` as in ADM's evaluator. */

import { MactokError } from '../errors.js'
import type { NpzFile } from '../files/npz-reader.js'
import { writeNpz } from '../files/npz-writer.js'
import { tensor } from '../tensor/tensor.js'
import { type Arrays, type Gaussian, gaussian } from './gaussian.js'
import { POOL, SPATIAL } from './inception.js'
import { type InceptionInput, inceptionInputs } from './metric-names.js'

export interface Gaussians {
  pool: Gaussian
  spatial: Gaussian | null
}

async function readGaussian(file: NpzFile, [mu, sigma]: [string, string], width: number): Promise<Gaussian> {
  const [{ shape: means }, { shape: covariances }] = [await file.describe(mu), await file.describe(sigma)]
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
  if (!file.has('mu') || !file.has('sigma')) return null
  const pool = await readGaussian(file, ['mu', 'sigma'], POOL)
  const spatial = file.has('mu_s') && file.has('sigma_s')
  return { pool, spatial: spatial ? await readGaussian(file, ['mu_s', 'sigma_s'], SPATIAL) : null }
}

/**
 * Writes `mu`, `sigma` (and `mu_s`, `sigma_s`), which pytorch-fid and ADM's evaluator read, and `resize`, the index among
 * `inceptionInputs` of how the images reached the network.
 */
export async function writeStatistics(
  file: string,
  { pool, spatial }: Gaussians,
  input: InceptionInput
): Promise<void> {
  const arrays = async (names: [string, string], { mean, covariance }: Gaussian): Promise<Arrays> => ({
    [names[0]]: { shape: mean.shape, data: await mean.data() },
    [names[1]]: { shape: covariance.shape, data: await covariance.data() }
  })
  await writeNpz(file, {
    ...(await arrays(['mu', 'sigma'], pool)),
    ...(spatial && (await arrays(['mu_s', 'sigma_s'], spatial))),
    resize: { shape: [1], data: Int32Array.of(inceptionInputs.indexOf(input)) }
  })
}
