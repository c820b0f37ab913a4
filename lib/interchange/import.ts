/** Imports checkpoints of other projects as model folders of MacTok. */

import { rm } from 'node:fs/promises'
import path from 'node:path'
import { text } from '../checks.js'
import { parseConfig } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
import type { Checksum } from '../files/checksums.js'
import { readJson } from '../files/read.js'
import { fileSize, isFolder } from '../files/stat.js'
import { type GeneratorConfig, generatorSchema } from '../generator/schema.js'
import type { LatentStatistics } from '../latents/index.js'
import { findModel, modelFile, writeConfig } from '../runs/model-folder.js'
import { tokenizerSchema } from '../tokenizer/schema.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { type Dinov2Json, detectDinov2, dinov2Config, mapDinov2 } from '../weights/dinov2.js'
import { isInception, mapInception } from '../weights/inception.js'
import { isName } from '../weights/locate.js'
import { readFinite, type Weights, type WeightTensor } from '../weights/tensors.js'
import { type CheckpointRecord, openWeightsFile } from '../weights/weights-file.js'
import { chooseGroup } from '../weights/wrappers.js'
import { writeWithChecksums } from '../weights/writer.js'
import { isContinuousTokenizer, mapContinuousTokenizer } from './continuous-tokenizer.js'
import {
  deriveGeneratorConfig,
  deriveSampling,
  detectGenerator,
  type GeneratorCheckpoint,
  type ImportedSampling,
  joinBlocks,
  latentScale
} from './generator-layouts.js'
import { type ImportLayout, type ImportOptions, type ImportSettings, importSchema } from './import-schema.js'
import { type ChannelValues, resolveStatistics } from './import-statistics.js'
import { fitShapes, generatorShapes, tokenizerShapes } from './shapes.js'

/** The file of a checkpoint's unused tensors, under their own names: `exportWeights` writes them again. */
export const leftOverFile = 'left-over.safetensors'

export interface ImportedWeights {
  folder: string
  kind: 'dinov2' | 'inception' | 'tokenizer' | 'generator'
  layout: ImportLayout
  /** The state dict that was read; '' for a file that is one itself. */
  group: string
  /** Tensors that MacTok does not use: dropped, or kept beside the model. */
  ignored: string[]
  /** Parameters that the checkpoint lacks; they are zeros. */
  filled: string[]
  /** Recommended sampling, in MacTok's direction of time. */
  sampling: ImportedSampling
  notes: string[]
}

interface Checkpoint {
  file: string
  folder: string
  group: string
  weights: Weights
  record: CheckpointRecord
  metadata: Readonly<Record<string, string>>
  /** The content of a `config.json` beside it. */
  json: Record<string, unknown>
  settings: ImportSettings
}

type Result = Omit<ImportedWeights, 'folder' | 'group' | 'layout'>

/**
 * Converts a checkpoint of another project to a model folder: DINOv2, FID's Inception, tokenizers of
 * continuous_tokenizer (SoftVQ, MAETok), and generators of SiT, REPA, LightningDiT and continuous_tokenizer. Reads
 * safetensors and files of `torch.save`, without running any code in them.
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` for other layouts, and for missing tensors, naming them
 */
export async function importWeights(folderOrFile: string, options: ImportOptions): Promise<ImportedWeights> {
  text('path', 'a file or a folder', folderOrFile)
  const { name, out, ...given } = options ?? {}
  const folder = resolveTarget(name, out)
  const settings = parseConfig(importSchema, given, 'import')
  const file = (await isFolder(folderOrFile)) ? path.join(folderOrFile, modelFile) : folderOrFile
  if ((await fileSize(file)) === undefined) throw new MactokError('ERR_FORMAT', `There is no file ${file}`)
  await using opened = await openWeightsFile(file)
  const { group, weights, dropped, notes } = chooseGroup(opened, settings.group)
  const { record, metadata, unsupported } = opened
  const json = await readJson(path.join(path.dirname(file), 'config.json'))
  const checkpoint = { file, folder, group, weights, record, metadata, json, settings }
  const layout = settings.layout ?? detectLayout(checkpoint)
  const result = await importers[layout](checkpoint, layout).catch((error: unknown) => {
    throw error instanceof MactokError && unsupported.length > 0
      ? new MactokError(error.code, `${error.message}; tensors of unsupported types: ${unsupported.join(', ')}`)
      : error
  })
  const ignored = [...result.ignored, ...dropped, ...unsupported]
  return { folder, layout, group, ...result, ignored, notes: [...notes, ...result.notes] }
}

function resolveTarget(name: unknown, out: unknown): string {
  if ((name === undefined) === (out === undefined)) {
    throw invalidParameter('name', 'either a name or a folder (out)', name)
  }
  if (out !== undefined) {
    text('out', 'a folder', out)
    return path.resolve(out)
  }
  text('name', 'a name such as my-dinov2', name)
  if (!isName(name)) throw outOfRange('name', 'a name such as my-dinov2', name)
  return path.join(cacheFolder(), 'weights', ...name.split('/'))
}

function detectLayout({ file, weights, record }: Checkpoint): ImportLayout {
  const names = [...weights.keys()]
  if (isContinuousTokenizer(names)) return 'continuous-tokenizer'
  if (isInception(names)) return 'inception'
  const layout = detectGenerator(names, record) ?? (detectDinov2(names) && 'dinov2')
  if (layout) return layout
  const known =
    "neither a DINOv2, nor FID's Inception, nor a continuous_tokenizer, SiT, REPA or LightningDiT checkpoint"
  const first = names.slice(0, 3).join(', ')
  throw new MactokError('ERR_FORMAT', `${file} is ${known}; its first tensors are ${first}`)
}

const importers: Record<ImportLayout, (checkpoint: Checkpoint, layout: ImportLayout) => Promise<Result>> = {
  dinov2: importDinov2,
  inception: importInception,
  'continuous-tokenizer': importTokenizer,
  sit: importGenerator,
  repa: importGenerator,
  lightningdit: importGenerator
}

const nothing = { filled: [], sampling: {}, notes: [] }

async function importDinov2({ file, folder, weights, json, settings }: Checkpoint): Promise<Result> {
  const mapped = mapDinov2(weights)
  const known = { ...json, ...(settings.heads && { num_attention_heads: settings.heads }) }
  const { vit, patchSize, grid } = dinov2Config(mapped, known as Dinov2Json)
  await writeWeights(path.join(folder, modelFile), mapped, file)
  await writeJson(path.join(folder, 'config.json'), {
    model_type: 'dinov2',
    hidden_size: vit.width,
    num_hidden_layers: vit.depth,
    num_attention_heads: vit.heads,
    patch_size: patchSize,
    image_size: patchSize * grid,
    layer_norm_eps: vit.normEps,
    layerscale_value: vit.layerScale ?? undefined,
    use_swiglu_ffn: vit.mlp === 'swiglu',
    num_register_tokens: vit.registers
  })
  return { kind: 'dinov2', ignored: [], ...nothing }
}

async function importInception({ file, folder, weights }: Checkpoint): Promise<Result> {
  const { classes, weights: mapped } = mapInception(weights)
  await writeWeights(path.join(folder, modelFile), mapped, file)
  await writeJson(path.join(folder, 'config.json'), { model_type: 'inception-fid', classes })
  const ignored = [...weights.keys()].filter((name) => !mapped.has(name))
  return { ...nothing, kind: 'inception', ignored }
}

async function importTokenizer({
  file,
  folder,
  group,
  weights,
  record,
  metadata,
  json,
  settings
}: Checkpoint): Promise<Result> {
  const recorded: Record<string, unknown> = {
    ...json,
    ...(json.config as object),
    ...(record.args as object),
    ...(record.config as object),
    ...metadata
  }
  const heads = settings.heads ?? toNumber(recorded.num_attention_heads ?? recorded.num_heads)
  const decoderHeads = settings.heads ?? toNumber(recorded.decoder_num_heads) ?? heads
  const temperature = settings.temperature ?? toNumber(recorded.tau)
  const normalise = settings.normalise ?? toBoolean(recorded.codebook_l2_norm ?? recorded.l2_norm)
  const mapped = mapContinuousTokenizer(weights, {
    ...(heads === undefined || decoderHeads === undefined ? {} : { heads: { encoder: heads, decoder: decoderHeads } }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(normalise === undefined ? {} : { normalise })
  })
  const { ignored, filled } = mapped
  const tokenizer = parseConfig(tokenizerSchema, mapped.config, 'tokenizer')
  const fitted = fitShapes(mapped.weights, tokenizerShapes(tokenizer), file)
  const checksum = await writeWeights(path.join(folder, modelFile), fitted.weights, file)
  const leftOver = [...ignored, ...fitted.leftOver]
  await keepLeftOver(folder, weights, leftOver, settings.keep, file)
  const mean = toNumber(recorded.vq_mean)
  const std = toNumber(recorded.vq_std)
  const latents =
    mean === undefined || std === undefined || (std === 1 && mean === 0) ? null : { mean: [mean], std: [std] }
  const origin = { layout: 'continuous-tokenizer', group, filled, latents }
  await writeConfig(folder, 'tokenizer', { tokenizer, origin }, { [modelFile]: checksum })
  return { ...nothing, kind: 'tokenizer', ignored: leftOver, filled }
}

const toNumber = (value: unknown): number | undefined => {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}
const toBoolean = (value: unknown): boolean | undefined =>
  value === true || value === 'True' ? true : value === false || value === 'False' ? false : undefined

async function importGenerator(checkpoint: Checkpoint, layout: ImportLayout): Promise<Result> {
  const { file, folder, group, settings } = checkpoint
  const weights = joinBlocks(checkpoint.weights)
  const original: GeneratorCheckpoint = { ...checkpoint, weights, layout: layout as GeneratorCheckpoint['layout'] }
  const config = parseConfig(generatorSchema, deriveGeneratorConfig(original, settings), 'generator')
  const { weights: own, leftOver } = fitShapes(weights, generatorShapes(config), file)
  // LightningDiT's rotary tables follow from the grid, so they are not worth reporting.
  const ignored = leftOver.filter((name) => !name.startsWith('feat_rope.'))
  const tokenizer = await readTokenizer(settings.tokenizer)
  const statistics = await resolveStatistics(config.latentShape, settings, tokenizer.latents, {
    scale: latentScale(original, config.latentShape),
    scaleOnly: layout !== 'lightningdit'
  })
  const sampling = recommendSampling(original, config, settings)
  const checksum = await writeWeights(path.join(folder, modelFile), own, file)
  await keepLeftOver(folder, weights, leftOver, settings.keep, file)
  const origin = { layout, group, filled: [], sampling }
  const identity = { generator: config, statistics, classNames: null, tokenizer: tokenizer.identity, origin }
  await writeConfig(folder, 'generator', identity, { [modelFile]: checksum })
  return { kind: 'generator', ignored, filled: [], sampling, notes: describeGenerator(original, config, statistics) }
}

/** Reads a tokenizer's identity, and the statistics of its latents if it was imported with them. */
async function readTokenizer(
  folder: string | null
): Promise<{ identity: string | null; latents: ChannelValues | null }> {
  if (folder === null) return { identity: null, latents: null }
  using tokenizer = await Tokenizer.load(folder)
  const { origin } = (await findModel(folder, 'tokenizer', false)).config as { origin?: { latents?: ChannelValues } }
  return { identity: await tokenizer.identity(), latents: origin?.latents ?? null }
}

/** Recommends sampling; the guidance interval is mirrored if the checkpoint's time runs the other way. */
function recommendSampling(
  checkpoint: GeneratorCheckpoint,
  { flow }: GeneratorConfig,
  { guidance }: ImportSettings
): ImportedSampling {
  const derived = deriveSampling(checkpoint)
  const { scale, low, high, channels } = guidance
  if (scale === null) return derived
  if (low > high) throw outOfRange('guidance.low', `at most guidance.high (${high})`, low)
  const interval = flow.time === 'data_at_0' ? { low: 1 - high, high: 1 - low } : { low, high }
  return { ...derived, guidance: { scale, ...interval, ...(channels === null ? {} : { channels }) } }
}

/** Notes on how the generator differs from MacTok's conventions. */
function describeGenerator(
  { layout }: GeneratorCheckpoint,
  { flow }: GeneratorConfig,
  statistics: LatentStatistics | null
): string[] {
  const notes = [
    flow.time === 'data_at_0'
      ? 'its time runs from data to noise: MacTok evaluates it at 1 − t and negates the velocity'
      : "its time runs from noise to data, like MacTok's"
  ]
  if (layout === 'sit') notes.push('n ODE steps of SiT are n − 1 steps of MacTok')
  if (statistics === null) {
    notes.push('its latents are not normalised: set --statistics or --latent-scale if they were')
  } else if (statistics.mean.length === 1) {
    notes.push(`its latents are multiplied by ${Number((1 / (statistics.std[0] as number)).toPrecision(6))}`)
  }
  return notes
}

const writeTensors = (
  file: string,
  weights: Weights,
  origin: string,
  read: (name: string, tensor: WeightTensor) => Promise<Uint8Array>
): Promise<Checksum> =>
  writeWithChecksums(
    file,
    [...weights].map(([name, tensor]) => ({
      name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: () => read(name, tensor)
    })),
    { format: 'pt', origin: path.basename(origin) }
  )

/**
 * Writes a model's weights.
 * @param origin - the file that they come from
 * @throws {MactokError} `ERR_FORMAT` for values that are not finite, which no model may have
 */
const writeWeights = (file: string, weights: Weights, origin: string): Promise<Checksum> =>
  writeTensors(file, weights, origin, (name, tensor) => readFinite(name, tensor, origin))

async function keepLeftOver(folder: string, weights: Weights, names: string[], keep: boolean, origin: string) {
  const file = path.join(folder, leftOverFile)
  // Those of an earlier import belong to other weights.
  if (!keep || names.length === 0) return await rm(file, { force: true })
  const wanted = new Set(names)
  const kept = new Map([...weights].filter(([name]) => wanted.has(name)))
  // Nothing is computed from them: they are kept as they are.
  await writeTensors(file, kept, origin, (_, tensor) => tensor.bytes())
}
