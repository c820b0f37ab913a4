/** Determines the statistics that normalised an imported generator's latents. */

import { MactokError } from '../errors.js'
import { readJson } from '../files/read.js'
import { LatentStatistics } from '../latents/index.js'
import { toFloat32 } from '../weights/dtype.js'
import { readFinite } from '../weights/tensors.js'
import { openWeights } from '../weights/weights-file.js'
import type { ImportSettings } from './import-schema.js'

export interface ChannelValues {
  mean: number[]
  std: number[]
}

/**
 * Takes the statistics of the given file, else those of the tokenizer, else those that follow from the scale of the
 * latents; null if there are none.
 * @param scale - the factor that the checkpoint's project multiplies (normalised) latents by
 * @param scaleOnly - whether that factor is the whole normalisation
 */
export async function resolveStatistics(
  latentShape: readonly number[],
  settings: ImportSettings,
  tokenizer: ChannelValues | null,
  { scale, scaleOnly }: { scale: number | undefined; scaleOnly: boolean }
): Promise<LatentStatistics | null> {
  const shape = latentShape as unknown as LatentStatistics['sampleShape']
  const factor = settings.latentScale ?? scale ?? 1
  const given = settings.statistics === null ? tokenizer : await readStatistics(settings.statistics)
  if (given) {
    const std = given.std.map((value) => value / factor)
    return new LatentStatistics(given.mean, std, shape)
  }
  const hasScale = settings.latentScale !== null || (scaleOnly && scale !== undefined)
  return hasScale ? new LatentStatistics([0], [1 / factor], shape) : null
}

const isValues = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'number')

async function readStatistics(file: string): Promise<ChannelValues> {
  if (file.endsWith('.json')) {
    const { mean, std } = await readJson(file)
    if (isValues(mean) && isValues(std)) return { mean, std }
    throw new MactokError('ERR_FORMAT', `${file} has no mean and std`)
  }
  await using opened = await openWeights(file)
  const { weights } = opened
  const read = async (name: string): Promise<number[]> => {
    const tensor = weights.get(name)
    if (!tensor) throw new MactokError('ERR_FORMAT', `${file} has no ${name}`)
    return [...toFloat32(await readFinite(name, tensor, file), tensor.dtype)]
  }
  return { mean: await read('mean'), std: await read('std') }
}
