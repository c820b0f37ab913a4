/** Checkpoints of other projects as folders of MacTok's. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { cacheFolder } from '../cache.mjs'
import { parseConfig } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { type GeneratorConfig, generatorSchema } from '../generator/schema.js'
import { LatentStatistics } from '../latents/index.js'
import { modelFile, writeConfig } from '../model-folder.js'
import { tokenizerSchema } from '../tokenizer/schema.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { writeJson } from './atomic.js'
import { isContinuousTokenizer, mapContinuousTokenizer } from './continuous-tokenizer.js'
import { type Dinov2Json, detectDinov2, dinov2Config, mapDinov2 } from './dinov2.js'
import { toFloat32 } from './dtype.js'
import { fileSize, isFolder } from './files.js'
import {
  detectGenerator,
  type FoundGenerator,
  generatorConfigOf,
  type ImportedSampling,
  latentScale,
  samplingOf
} from './generator-layouts.js'
import { isName } from './named.js'
import { fitShapes, generatorShapes, tokenizerShapes } from './shapes.js'
import type { Weights } from './tensors.js'
import { type CheckpointRecord, chooseGroup, openWeightsFile } from './weights-file.js'
import { writeSafetensors } from './writer.js'

/** Tensors of a checkpoint that the model has no use for, under their own names: what `export` gives back. */
export const leftOverFile = 'left-over.safetensors'

export type ImportLayout = 'dinov2' | 'continuous-tokenizer' | 'sit' | 'repa' | 'lightningdit'

/** What shapes and the checkpoint's own record do not tell, or tell wrongly. Null: as they say. */
export const importSchema = z.strictObject({
  layout: z
    .enum(['dinov2', 'continuous-tokenizer', 'sit', 'repa', 'lightningdit'])
    .nullable()
    .default(null)
    .describe('whose checkpoint it is; none: told by its names'),
  group: z
    .string()
    .nullable()
    .default(null)
    .describe('the state dict of a checkpoint that has several (ema, then model)'),
  heads: z.number().int().positive().nullable().default(null).describe('attention heads'),
  keep: z.boolean().default(false).describe('keep what the model has no use for beside it, for an export'),
  path: z.enum(['linear', 'gvp', 'vp']).nullable().default(null).describe("a generator's path"),
  prediction: z.enum(['velocity', 'noise', 'score']).nullable().default(null).describe('what a generator predicts'),
  time: z
    .enum(['data_at_1', 'data_at_0'])
    .nullable()
    .default(null)
    .describe("direction of a generator's time: data_at_0 for REPA and continuous_tokenizer"),
  statistics: z
    .string()
    .nullable()
    .default(null)
    .describe("what a generator's latents were normalised with: latents_stats.json or LightningDiT's latents_stats.pt"),
  latentScale: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("factor on a generator's latents (Stable Diffusion: 0.18215)"),
  tokenizer: z.string().nullable().default(null).describe('folder of the tokenizer whose latents a generator makes'),
  guidance: z
    .strictObject({
      scale: z.number().nullable().default(null).describe('recommended guidance scale'),
      low: z.number().min(0).max(1).default(0).describe("guided from this time of the checkpoint's own on"),
      high: z.number().min(0).max(1).default(1).describe("guided up to this time of the checkpoint's own"),
      channels: z.number().int().positive().nullable().default(null).describe('guided channels; none: all')
    })
    .prefault({}),
  temperature: z.number().positive().nullable().default(null).describe("of SoftVQ's softmax (0.07)"),
  normalise: z.boolean().nullable().default(null).describe("whether SoftVQ's tokens and codes have length 1 (true)")
})

export type ImportSettings = z.output<typeof importSchema>
export type ImportOptions = z.input<typeof importSchema> & {
  /** Keeps it in the cache under this name. */
  name?: string
  /** Or the folder to write. */
  out?: string
}

export interface ImportedWeights {
  folder: string
  kind: 'dinov2' | 'tokenizer' | 'generator'
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
 * Converts a checkpoint of another project into a folder of MacTok's: DINOv2, tokenizers of continuous_tokenizer (SoftVQ, MAETok),
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
  const opened = await openWeightsFile(file)
  try {
    const { group, weights } = chooseGroup(opened, settings.group)
    const { record, metadata, unsupported } = opened
    const json = await readJson(path.join(path.dirname(file), 'config.json'))
    const found = { file, folder, group, weights, record, metadata, json, settings }
    const layout = settings.layout ?? layoutOf(found)
    const result = await importers[layout](found, layout)
    return { folder, layout, group, ...result, ignored: [...result.ignored, ...unsupported] }
  } finally {
    await opened.close()
  }
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

async function readJson(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON`, { cause })
  }
}

function layoutOf({ file, weights, record }: Found): ImportLayout {
  const names = [...weights.keys()]
  if (isContinuousTokenizer(names)) return 'continuous-tokenizer'
  const layout = detectGenerator(names, record) ?? (detectDinov2(names) && 'dinov2')
  if (layout) return layout
  const known = 'neither a DINOv2, nor a continuous_tokenizer, SiT, REPA or LightningDiT checkpoint'
  throw new MactokError('ERR_FORMAT', `${file} is ${known}; it begins with ${names.slice(0, 3).join(', ')}`)
}

const importers: Record<ImportLayout, (found: Found, layout: ImportLayout) => Promise<Result>> = {
  dinov2: importDinov2,
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
  const told = { ...json, ...(record.args as object), ...(record.config as object), ...metadata } as Record<
    string,
    unknown
  >
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
  const origin = { layout: 'continuous-tokenizer', group, filled }
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
  const { file, folder, group, weights, settings } = found
  const generatorFound: FoundGenerator = { ...found, layout: layout as FoundGenerator['layout'] }
  const config = parseConfig(generatorSchema, generatorConfigOf(generatorFound, settings), 'generator')
  const { weights: own, leftOver } = fitShapes(weights, generatorShapes(config), file)
  // LightningDiT's rotary tables follow from the grid.
  const ignored = leftOver.filter((name) => !name.startsWith('feat_rope.'))
  const statistics = await statisticsOf(generatorFound, config, settings)
  const sampling = samplingFor(generatorFound, config, settings)
  await writeWeights(path.join(folder, modelFile), own, file)
  await keepLeftOver(folder, weights, leftOver, settings.keep, file)
  await writeConfig(folder, 'generator', {
    ...{ generator: config, statistics, classNames: null, tokenizer: await tokenizerIdentity(settings.tokenizer) },
    origin: { layout, group, filled: [], sampling }
  })
  return { kind: 'generator', ignored, filled: [], sampling, notes: notesOf(generatorFound, config, statistics) }
}

async function tokenizerIdentity(folder: string | null): Promise<string | null> {
  if (folder === null) return null
  using tokenizer = await Tokenizer.load(folder)
  return tokenizer.identity()
}

/** Statistics of the file that was named, of the factor on the latents, or none. */
async function statisticsOf(
  found: FoundGenerator,
  { latentShape }: GeneratorConfig,
  settings: ImportSettings
): Promise<LatentStatistics | null> {
  const shape = latentShape as unknown as LatentStatistics['sampleShape']
  const scale = settings.latentScale ?? latentScale(found, latentShape)
  const factor = scale ?? 1
  if (settings.statistics !== null) {
    const { mean, std } = await readStatistics(settings.statistics)
    return new LatentStatistics(
      mean,
      std.map((value) => value / factor),
      shape
    )
  }
  return scale === undefined || found.layout === 'lightningdit' ? null : new LatentStatistics([0], [1 / factor], shape)
}

async function readStatistics(file: string): Promise<{ mean: number[]; std: number[] }> {
  if (file.endsWith('.json')) {
    const { mean, std } = (await readJson(file)) as { mean?: unknown; std?: unknown }
    if (Array.isArray(mean) && Array.isArray(std)) return { mean, std }
    throw new MactokError('ERR_FORMAT', `${file} has no mean and std`)
  }
  const opened = await openWeightsFile(file)
  try {
    const { weights } = chooseGroup(opened)
    const read = async (name: string): Promise<number[]> => {
      const tensor = weights.get(name)
      if (!tensor) throw new MactokError('ERR_FORMAT', `${file} has no ${name}`)
      return [...toFloat32(await tensor.bytes(), tensor.dtype)]
    }
    return { mean: await read('mean'), std: await read('std') }
  } finally {
    await opened.close()
  }
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
