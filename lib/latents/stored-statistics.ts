/** Statistics that lie beside shards: MacTok's JSON, or LightningDiT's file of torch.save. */

import path from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { checkSeal } from '../files/checksums.js'
import { readJson } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { toFloat32 } from '../weights/dtype.js'
import { openWeights } from '../weights/weights-file.js'
import { statisticsFile, torchStatisticsFile } from './manifest.js'
import { channelLayout, LatentStatistics, type LatentStatisticsFile, type SampleShape } from './statistics.js'

export type StatisticsMode = 'channel' | 'scalar'

export interface StoredStatistics {
  /** `latents_stats.json` or `latents_stats.pt` */
  name: string
  statistics: LatentStatistics
}

const isValues = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'number')

/**
 * Reads the statistics of a folder of shards; undefined when it has none for the mode: LightningDiT's are per channel.
 * @throws {MactokError} `ERR_FORMAT` for statistics of other shards, and for damaged files
 */
export async function readStoredStatistics(
  folder: string,
  shape: SampleShape,
  mode: StatisticsMode
): Promise<StoredStatistics | undefined> {
  const [json, torch] = [path.join(folder, statisticsFile), path.join(folder, torchStatisticsFile)]
  if ((await fileSize(json)) !== undefined) {
    return { name: statisticsFile, statistics: LatentStatistics.fromFile(await readStatisticsJson(json, shape), mode) }
  }
  if (mode === 'scalar' || (await fileSize(torch)) === undefined) return undefined
  return { name: torchStatisticsFile, statistics: await readTorchStatistics(torch, shape) }
}

async function readStatisticsJson(file: string, shape: SampleShape): Promise<LatentStatisticsFile> {
  const content = await readJson(file)
  checkSeal(file, content)
  const stored = content as unknown as LatentStatisticsFile
  if (!isValues(stored.sample_shape)) throw new MactokError('ERR_FORMAT', `${file} has no sample_shape`)
  if (`${stored.sample_shape}` !== `${shape}`) {
    const shapes = `describes samples [${stored.sample_shape}], but the shards hold [${shape}]`
    throw new MactokError('ERR_FORMAT', `${file} ${shapes}`)
  }
  if (!isValues(stored.mean) || !isValues(stored.std) || !isRecord(stored.scalar)) {
    throw new MactokError('ERR_FORMAT', `${file} has no mean, std and scalar`)
  }
  return stored
}

/** Reads `mean` and `std`, [1, C, 1, 1] as LightningDiT stores them. */
async function readTorchStatistics(file: string, shape: SampleShape): Promise<LatentStatistics> {
  await using opened = await openWeights(file)
  const { channels } = channelLayout(shape)
  const read = async (name: string): Promise<Float32Array> => {
    const tensor = opened.weights.get(name)
    const values = tensor && toFloat32(await tensor.bytes(), tensor.dtype)
    if (values && (values.length === channels || values.length === 1) && values.every(Number.isFinite)) return values
    throw new MactokError('ERR_FORMAT', `${file} has no ${name} of ${channels} channels, finite, as the shards need`)
  }
  return new LatentStatistics(await read('mean'), await read('std'), shape)
}
