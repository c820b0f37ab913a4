/** Checkpoints of other projects as folders of MacTok's. */

import path from 'node:path'
import { parseConfig } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../files/atomic.js'
import { cacheFolder } from '../files/cache.mjs'
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
import type { Weights } from '../weights/tensors.js'
import { type CheckpointRecord, chooseGroup, openWeightsFile } from '../weights/weights-file.js'
import { writeSafetensors } from '../weights/writer.js'
import { isContinuousTokenizer, mapContinuousTokenizer } from './continuous-tokenizer.js'
import {
  detectGenerator,
  type FoundGenerator,
  generatorConfigOf,
  type ImportedSampling,
  joinBlocks,
  latentScale,
  samplingOf
} from './generator-layouts.js'
import { type ImportLayout, type ImportOptions, type ImportSettings, importSchema } from './import-schema.js'
import { type ChannelValues, importedStatistics } from './import-statistics.js'
import { fitShapes, generatorShapes, tokenizerShapes } from './shapes.js'

/** Tensors of a checkpoint that the model has no use for, under their own names: what `export` gives back. */
export const leftOverFile = 'left-over.safetensors'

export interface ImportedWeights {
  folder: string
  kind: 'dinov2' | 'inception' | 'tokenizer' | 'generator'
  layout: ImportLayout
  /** The state dict that was read, '' for a file that is one. */
  group: string
  /** Tensors that MacTok has no use for: left out, or kept beside the model. */
  ignored: string[]
  /** Parameters that the checkpoint lacks, and that are zeros. */
  filled: string[]
  /** How the checkpoint wants to be sampled, in MacTok's time. */
  sampling: ImportedSampling
  notes: string[]
}

interface Found {
  file: string
  folder: string
  group: string
  weights: Weights
  record: CheckpointRecord
  metadata: Readonly<Record<string, string>>
  /** Of a `config.json` beside it. */
  json: Record<string, unknown>
  settings: ImportSettings
}

type Result = Omit<ImportedWeights, 'folder' | 'group' | 'layout'>

/**
 * Converts a checkpoint of another project into a folder of MacTok's: DINOv2, FID's Inception, tokenizers of continuous_tokenizer (SoftVQ, MAETok),
 * and generators of SiT, REPA, LightningDiT and continuous_tokenizer, from safetensors or files of `torch.save`, of which nothing is run.
 * @throws {TypeError | RangeError} wrong options
 * @throws {MactokError} `ERR_FORMAT` for other layouts, and for missing tensors, by name
 */
export async function importWeights(folderOrFile: string, options: ImportOptions): Promise<ImportedWeights> {
  if (typeof folderOrFile !== 'string') throw invalidParameter('path', 'a file or a folder', folderOrFile)
  const { name, out, ...given } = options ?? {}
  const folder = target(name, out)
  const settings = parseConfig(importSchema, given, 'import')
  const file = (await isFolder(folderOrFile)) ? path.join(folderOrFile, modelFile) : folderOrFile
  if ((await fileSize(file)) === undefined) throw new MactokError('ERR_FORMAT', `There is no file ${file}`)
  await using opened = await openWeightsFile(file)
  const { group, weights } = chooseGroup(opened, settings.group)
  const { record, metadata, unsupported } = opened
  const json = await readJson(path.join(path.dirname(file), 'config.json'))
  const found = { file, folder, group, weights, record, metadata, json, settings }
  const layout = settings.layout ?? layoutOf(found)
  const result = await importers[layout](found, layout)
  return { folder, layout, group, ...result, ignored: [...result.ignored, ...unsupported] }
}

function target(name: unknown, out: unknown): string {
  if ((name === undefined) === (out === undefined))
    throw invalidParameter('name', 'either a name or a folder (out)', name)
  if (out !== undefined) {
    if (typeof out !== 'string' || out === '') throw invalidParameter('out', 'a folder', out)
    return path.resolve(out)
  }
  if (typeof name !== 'string' || !isName(name)) throw outOfRange('name', 'a name such as my-dinov2', name)
  return path.join(cacheFolder(), 'weights', ...name.split('/'))
}

function layoutOf({ file, weights, record }: Found): ImportLayout {
  const names = [...weights.keys()]
  if (isContinuousTokenizer(names)) return 'continuous-tokenizer'
  if (isInception(names)) return 'inception'
  const layout = detectGenerator(names, record) ?? (detectDinov2(names) && 'dinov2')
  if (layout) return layout
  const known =
    "neither a DINOv2, nor FID's Inception, nor a continuous_tokenizer, SiT, REPA or LightningDiT checkpoint"
  throw new MactokError('ERR_FORMAT', `${file} is ${known}; it begins with ${names.slice(0, 3).join(', ')}`)
}

const importers: Record<ImportLayout, (found: Found, layout: ImportLayout) => Promise<Result>> = {
  dinov2: importDinov2,
  inception: importInception,
  'continuous-tokenizer': importTokenizer,
  sit: importGenerator,
  repa: importGenerator,
  lightningdit: importGenerator
}

const nothing = { filled: [], sampling: {}, notes: [] }

async function importDinov2({ file, folder, weights, json }: Found): Promise<Result> {
  const mapped = mapDinov2(weights)
  const { vit, patchSize, grid } = dinov2Config(mapped, json as Dinov2Json)
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

async function importInception({ file, folder, weights }: Found): Promise<Result> {
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
}: Found): Promise<Result> {
  const told: Record<string, unknown> = {
    ...{ ...json, ...(json.config as object) },
    ...{ ...(record.args as object), ...(record.config as object), ...metadata }
  }
  const heads = settings.heads ?? numeric(told.num_attention_heads ?? told.num_heads)
  const temperature = settings.temperature ?? numeric(told.tau)
  const normalise = settings.normalise ?? truth(told.codebook_l2_norm ?? told.l2_norm)
  const mapped = mapContinuousTokenizer(weights, {
    ...(heads === undefined ? {} : { heads: { encoder: heads, decoder: heads } }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(normalise === undefined ? {} : { normalise })
  })
  const { ignored, filled } = mapped
  const tokenizer = parseConfig(tokenizerSchema, mapped.config, 'tokenizer')
  const fitted = fitShapes(mapped.weights, tokenizerShapes(tokenizer), file)
  await writeWeights(path.join(folder, modelFile), fitted.weights, file)
  const leftOver = [...ignored, ...fitted.leftOver]
  await keepLeftOver(folder, weights, leftOver, settings.keep, file)
  const [mean, std] = [numeric(told.vq_mean), numeric(told.vq_std)]
  const latents = mean === undefined || std === undefined || std === 1 ? null : { mean: [mean], std: [std] }
  const origin = { layout: 'continuous-tokenizer', group, filled, latents }
  await writeConfig(folder, 'tokenizer', { tokenizer, origin })
  return { ...nothing, kind: 'tokenizer', ignored: leftOver, filled }
}

const numeric = (value: unknown): number | undefined => {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}
const truth = (value: unknown): boolean | undefined =>
  value === true || value === 'True' ? true : value === false || value === 'False' ? false : undefined

async function importGenerator(found: Found, layout: ImportLayout): Promise<Result> {
  const { file, folder, group, settings } = found
  const weights = joinBlocks(found.weights)
  const generatorFound: FoundGenerator = { ...found, weights, layout: layout as FoundGenerator['layout'] }
  const config = parseConfig(generatorSchema, generatorConfigOf(generatorFound, settings), 'generator')
  const { weights: own, leftOver } = fitShapes(weights, generatorShapes(config), file)
  // LightningDiT's rotary tables follow from the grid.
  const ignored = leftOver.filter((name) => !name.startsWith('feat_rope.'))
  const tokenizer = await tokenizerOf(settings.tokenizer)
  const statistics = await importedStatistics(config.latentShape, settings, tokenizer.latents, {
    scale: latentScale(generatorFound, config.latentShape),
    factorAlone: layout !== 'lightningdit'
  })
  const sampling = samplingFor(generatorFound, config, settings)
  await writeWeights(path.join(folder, modelFile), own, file)
  await keepLeftOver(folder, weights, leftOver, settings.keep, file)
  await writeConfig(folder, 'generator', {
    ...{ generator: config, statistics, classNames: null, tokenizer: tokenizer.identity },
    origin: { layout, group, filled: [], sampling }
  })
  return { kind: 'generator', ignored, filled: [], sampling, notes: notesOf(generatorFound, config, statistics) }
}

/** Identity of the tokenizer that was named, and the statistics of its latents where an import told them. */
async function tokenizerOf(folder: string | null): Promise<{ identity: string | null; latents: ChannelValues | null }> {
  if (folder === null) return { identity: null, latents: null }
  using tokenizer = await Tokenizer.load(folder)
  const { origin } = (await findModel(folder, 'tokenizer', false)).config as { origin?: { latents?: ChannelValues } }
  return { identity: await tokenizer.identity(), latents: origin?.latents ?? null }
}

/** The recommended guidance, its interval in MacTok's time: mirrored where the checkpoint's runs the other way. */
function samplingFor(found: FoundGenerator, { flow }: GeneratorConfig, { guidance }: ImportSettings): ImportedSampling {
  const told = samplingOf(found)
  const { scale, low, high, channels } = guidance
  if (scale === null) return told
  if (low > high) throw outOfRange('guidance.low', `at most guidance.high (${high})`, low)
  const interval = flow.time === 'data_at_0' ? { low: 1 - high, high: 1 - low } : { low, high }
  return { ...told, guidance: { scale, ...interval, ...(channels === null ? {} : { channels }) } }
}

function notesOf({ layout }: FoundGenerator, { flow }: GeneratorConfig, statistics: LatentStatistics | null): string[] {
  const notes = [
    flow.time === 'data_at_0'
      ? 'its time runs from data to noise: MacTok asks it at 1 − t and takes the velocity the other way round'
      : 'its time runs from noise to data, as MacTok does'
  ]
  if (layout === 'sit') notes.push('n ODE steps of SiT are n − 1 here')
  if (statistics === null)
    notes.push('its latents are used as they are: tell --statistics or --latentScale if they were not')
  else if (statistics.mean.length === 1)
    notes.push(`its latents are multiplied by ${Number((1 / (statistics.std[0] as number)).toPrecision(6))}`)
  return notes
}

const writeWeights = (file: string, weights: Weights, origin: string): Promise<void> =>
  writeSafetensors(
    file,
    [...weights].map(([name, tensor]) => ({
      name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: () => tensor.bytes()
    })),
    { format: 'pt', origin: path.basename(origin) }
  )

async function keepLeftOver(folder: string, weights: Weights, names: string[], keep: boolean, origin: string) {
  if (!keep || names.length === 0) return
  const wanted = new Set(names)
  await writeWeights(
    path.join(folder, leftOverFile),
    new Map([...weights].filter(([name]) => wanted.has(name))),
    origin
  )
}
