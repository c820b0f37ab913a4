import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathTo } from '../checks.js'
import { MactokError } from '../errors.js'
import { ifPresent } from '../files/stat.js'
import { isContinuousTokenizer } from '../interchange/continuous-tokenizer.js'
import { detectGenerator } from '../interchange/generator-layouts.js'
import { openLatents } from '../latents/index.js'
import { findCheckpoints } from '../runs/checkpoint.js'
import { type MetricsRecord, readMetrics } from '../runs/metrics.js'
import { countElements } from '../tensor/shapes.js'
import { isTorchFile } from '../weights/content.js'
import { formatSize, toFormat } from '../weights/dtype.js'
import { detectDinov2, readSafetensors } from '../weights/index.js'
import { openWeightsFile } from '../weights/weights-file.js'
import { chooseGroup } from '../weights/wrappers.js'
import { type AnyRunRecord, readAnyRun } from './run-folder.js'

export interface InspectedRun {
  kind: 'run'
  path: string
  record: AnyRunRecord
  /** The newest complete checkpoint. */
  checkpoint: { step: number; folder: string } | null
  /** What is wrong with newer checkpoints. */
  damaged: string[]
  lastMetrics: MetricsRecord | null
  lastEvaluation: MetricsRecord | null
}

export interface InspectedShards {
  kind: 'shards'
  path: string
  samples: number
  sampleShape: readonly number[]
  dtype: string
  moments: boolean
  flips: boolean
  classes: number
  tokenizer: string | null
  /** Over all channels. */
  mean: number
  std: number
}

export interface InspectedWeights {
  kind: 'weights'
  path: string
  layout: string
  /** Of the network; where a checkpoint has several state dicts, of the one that importing it reads. */
  parameters: number
  /** Of all tensors. */
  bytes: number
  metadata: Readonly<Record<string, string>>
  tensors: { name: string; format: string; shape: readonly number[] }[]
}

export type Inspected = InspectedRun | InspectedShards | InspectedWeights

/**
 * Describes a run folder, a shard folder, or a weights file or folder. Reads headers and JSON files; only a file of torch.save needs LibTorch.
 * @throws {TypeError} no path
 * @throws {MactokError} `ERR_FORMAT` when it is none of them
 */
export async function inspect(path: string): Promise<Inspected> {
  pathTo('path', path)
  const stats = await ifPresent(stat(path))
  if (!stats) throw new MactokError('ERR_FORMAT', `There is nothing at ${path}`)
  if (stats.isFile()) return inspectWeights(path)
  const record = await readAnyRun(path)
  if (record) return inspectRun(path, record)
  const has = (name: string) =>
    stat(join(path, name)).then(
      () => true,
      () => false
    )
  if (await has('model.safetensors')) return inspectWeights(join(path, 'model.safetensors'))
  return inspectShards(path)
}

async function inspectRun(path: string, record: AnyRunRecord): Promise<InspectedRun> {
  const { newest: checkpoint, damaged } = await findCheckpoints(path)
  const metrics = readMetrics(path)
  return {
    kind: 'run',
    path,
    record,
    checkpoint: checkpoint && { step: checkpoint.state.step, folder: checkpoint.folder },
    damaged,
    lastMetrics: metrics.findLast((line) => 'loss' in line) ?? null,
    lastEvaluation: metrics.findLast((line) => 'evaluation' in line) ?? null
  }
}

async function inspectShards(path: string): Promise<InspectedShards> {
  await using shards = await openLatents(path)
  const statistics = await shards.statistics('scalar')
  const { count: samples, sampleShape, dtype, moments, flips, classCount: classes, tokenizer = null } = shards
  const [mean, std] = [statistics.mean[0] as number, statistics.std[0] as number]
  return { kind: 'shards', path, samples, sampleShape, dtype, moments, flips, classes, tokenizer, mean, std }
}

const countParameters = (tensors: Iterable<{ shape: readonly number[] }>): number =>
  Array.from(tensors, ({ shape }) => countElements(shape)).reduce((sum, count) => sum + count, 0)

/** Describes a file of torch.save: its state dicts, and its other values as metadata. Reading its directory needs LibTorch. */
async function inspectTorch(path: string): Promise<InspectedWeights> {
  const file = await openWeightsFile(path)
  try {
    const { groups, record, unsupported } = file
    const tensors = [...groups].flatMap(([group, weights]) =>
      [...weights].map(([name, { dtype, shape }]) => {
        return { name: group === '' ? name : `${group}.${name}`, format: toFormat(dtype), shape }
      })
    )
    const { weights } = chooseGroup(file)
    const recorded = Object.entries(record).map(([name, value]) => [name, JSON.stringify(value)])
    const other = unsupported.length > 0 ? [['of other types', unsupported.join(', ')]] : []
    return {
      kind: 'weights',
      path,
      layout: detectLayout([...weights.keys()]),
      metadata: Object.fromEntries([...recorded, ...other]),
      parameters: countParameters(weights.values()),
      bytes: tensors.reduce((sum, { format, shape }) => sum + countElements(shape) * formatSize(format), 0),
      tensors
    }
  } finally {
    await file.close()
  }
}

async function inspectWeights(path: string): Promise<InspectedWeights> {
  if (await isTorchFile(path)) return inspectTorch(path)
  await using file = await readSafetensors(path)
  const tensors = [...file.tensors.values()]
  return {
    kind: 'weights',
    path,
    layout: detectLayout(file.names()),
    metadata: file.metadata,
    parameters: countParameters(tensors),
    bytes: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    tensors: tensors.map(({ name, format, shape }) => ({ name, format, shape }))
  }
}

function detectLayout(names: string[]): string {
  if (isContinuousTokenizer(names)) return 'tokenizer (continuous_tokenizer)'
  if (names.includes('encoder.latent_tokens')) return 'mactok tokenizer'
  const generator = detectGenerator(names)
  if (generator) return `generator (${generator})`
  const dinov2 = detectDinov2(names)
  return dinov2 ? `DINOv2 (${dinov2})` : 'unknown'
}
