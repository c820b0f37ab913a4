/** Generators of other projects: SiT, REPA, LightningDiT, and the SiT of continuous_tokenizer on tokens. Their parameters have our names. */

import { MactokError } from '../errors.js'
import type { GeneratorConfigInput } from '../generator/schema.js'
import type { Weights } from '../weights/tensors.js'
import type { CheckpointRecord } from '../weights/weights-file.js'

export type GeneratorLayout = 'sit' | 'repa' | 'lightningdit'

/** The project that the names belong to; undefined when it is none of these. */
export function detectGenerator(names: Iterable<string>, record: CheckpointRecord = {}): GeneratorLayout | undefined {
  const all = new Set(names)
  const transformer = ['t_embedder.mlp.0.weight', 'y_embedder.embedding_table.weight', 'final_layer.linear.weight']
  if (!transformer.every((name) => all.has(name))) return undefined
  if (all.has('blocks.0.mlp.w12.weight')) return 'lightningdit'
  // continuous_tokenizer's SiT on tokens has REPA's settings, but nothing else of it.
  if (!all.has('x_embedder.proj.weight')) return 'sit'
  const projectors = [...all].some((name) => /^(projectors|decoder_blocks)\./.test(name))
  return projectors || 'enc_type' in settings(record) ? 'repa' : 'sit'
}

/** REPA's first checkpoints count the blocks after its alignment anew: `decoder_blocks`. */
export function joinBlocks(weights: Weights): Weights {
  let first = 0
  while (weights.has(`blocks.${first}.attn.qkv.weight`)) first++
  const rename = (name: string) =>
    name.replace(/^decoder_blocks\.(\d+)\./, (_, index: string) => `blocks.${first + Number(index)}.`)
  return new Map([...weights].map(([name, tensor]) => [rename(name), tensor]))
}

/** What training was told: `args` of SiT, REPA and continuous_tokenizer. */
function settings(record: CheckpointRecord): CheckpointRecord {
  const { args } = record
  return typeof args === 'object' && args !== null ? (args as CheckpointRecord) : {}
}

const section = (record: CheckpointRecord, name: string): CheckpointRecord => {
  const { config } = record
  const found = (config as Record<string, unknown> | undefined)?.[name]
  return typeof found === 'object' && found !== null ? (found as CheckpointRecord) : {}
}

/** Heads of the published sizes by width: shapes do not tell them. */
const usualHeads: Readonly<Record<number, number>> = {
  ...{ 384: 6, 768: 12, 1024: 16, 1152: 16 },
  ...{ 1536: 24, 1792: 28 }
}

export interface GivenGenerator {
  heads?: number | null
  path?: 'linear' | 'gvp' | 'vp' | null
  prediction?: 'velocity' | 'noise' | 'score' | null
  time?: 'data_at_1' | 'data_at_0' | null
}

/** A checkpoint as it was found: its tensors, and what stands beside them. */
export interface FoundGenerator {
  weights: Weights
  layout: GeneratorLayout
  record: CheckpointRecord
  /** Of a safetensors file. */
  metadata: Readonly<Record<string, string>>
  file: string
}

/** The configuration that shapes and records tell; what is given goes before. */
export function generatorConfigOf(found: FoundGenerator, given: GivenGenerator = {}): GeneratorConfigInput {
  const { weights, layout, metadata, file } = found
  const shape = (name: string): readonly number[] => {
    const tensor = weights.get(name)
    if (!tensor) throw new MactokError('ERR_FORMAT', `${file} lacks ${name}`)
    return tensor.shape
  }
  const onGrid = weights.has('x_embedder.proj.weight')
  const kernel = shape(onGrid ? 'x_embedder.proj.weight' : 'x_embedder.weight')
  const [width, channels, patchSize = 1] = kernel as [number, number, number?]
  const tokens = shape('pos_embed')[1] as number
  const side = Math.sqrt(tokens) * patchSize
  let depth = 0
  while (weights.has(`blocks.${depth}.attn.qkv.weight`)) depth++
  const outputs = shape('final_layer.linear.weight')[0] as number
  const qkNorm = weights.has('blocks.0.attn.q_norm.weight')
  const told = metadata.num_heads === undefined ? undefined : Number(metadata.num_heads)
  const heads =
    given.heads ?? (qkNorm ? width / (shape('blocks.0.attn.q_norm.weight')[0] as number) : (told ?? usualHeads[width]))
  if (heads === undefined) {
    throw new MactokError('ERR_FORMAT', `The number of heads for width ${width} is unknown: tell it by heads`)
  }
  return {
    ...{ model: layout === 'lightningdit' ? 'lightning-dit' : 'sit', width, depth, heads, patchSize, qkNorm },
    mlpRatio: mlpRatio(weights, width, file),
    latentShape: onGrid ? [channels, side, side] : [tokens, channels],
    classes: (shape('y_embedder.embedding_table.weight')[0] as number) - 1,
    learnSigma: outputs === 2 * channels * patchSize ** 2,
    shift: shape('blocks.0.adaLN_modulation.1.weight')[0] !== 4 * width,
    flow: flowOf(found, onGrid, given)
  }
}

function mlpRatio(weights: Weights, width: number, file: string): number {
  const hidden = weights.get('blocks.0.mlp.fc1.weight')?.shape[0]
  if (hidden !== undefined) return hidden / width
  const gated = (weights.get('blocks.0.mlp.w12.weight')?.shape[0] ?? 0) / 2
  // LightningDiT's hidden width is int(2/3 · ratio · D): 4 first, as in every published size.
  const ratio = [4, 2, 3, 6, 8, (1.5 * gated) / width].find(
    (each) => Math.trunc((2 * Math.trunc(width * each)) / 3) === gated
  )
  if (ratio === undefined)
    throw new MactokError('ERR_FORMAT', `${file} has an MLP of ${gated} channels for width ${width}`)
  return ratio
}

const predictions: Readonly<Record<string, 'velocity' | 'noise' | 'score'>> = {
  ...{ velocity: 'velocity', v: 'velocity', noise: 'noise', score: 'score' }
}
/** REPA's cosine path is SiT's GVP. */
const paths: Readonly<Record<string, 'linear' | 'gvp' | 'vp'>> = {
  ...{ linear: 'linear', gvp: 'gvp', vp: 'vp', cosine: 'gvp' }
}

/** Time runs from noise to data in SiT and LightningDiT, the other way in REPA and continuous_tokenizer (of which SiT on tokens is). */
function flowOf({ layout, record, metadata }: FoundGenerator, onGrid: boolean, given: GivenGenerator) {
  const args = { ...section(record, 'transport'), ...settings(record), ...metadata }
  const path = paths[String(args.path_type).toLowerCase()] ?? 'linear'
  const prediction = predictions[String(args.prediction).toLowerCase()] ?? 'velocity'
  const usual = layout === 'repa' || !onGrid ? 'data_at_0' : 'data_at_1'
  const told = args.time === 'data_at_0' || args.time === 'data_at_1' ? args.time : usual
  return { path: given.path ?? path, prediction: given.prediction ?? prediction, time: given.time ?? told }
}

const number = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

/** The factor on Stable Diffusion's latents, which SiT and REPA were trained on. */
const stableDiffusionScale = 0.18215

/** What latents are multiplied by before the network sees them, where the checkpoint tells; LightningDiT's comes after normalisation. */
export function latentScale({ layout, record }: FoundGenerator, latentShape: readonly number[]): number | undefined {
  const data = section(record, 'data')
  if (layout === 'lightningdit') {
    return number(data.latent_multiplier) ?? (Object.keys(data).length > 0 ? stableDiffusionScale : undefined)
  }
  return latentShape.length === 3 && latentShape[0] === 4 ? stableDiffusionScale : undefined
}

export interface ImportedSampling {
  steps?: number
  shift?: number
  /** Times in [0 noise, 1 data]. */
  guidance?: { scale: number; low?: number; high?: number; channels?: number }
}

/** How LightningDiT's configuration samples: guided on three channels, from a time on. */
export function samplingOf({ layout, record }: FoundGenerator): ImportedSampling {
  const told = section(record, 'sample')
  const [scale, low] = [number(told.cfg_scale), number(told.cfg_interval_start)]
  const [steps, shift] = [number(told.num_sampling_steps), number(told.timestep_shift)]
  if (layout !== 'lightningdit') return {}
  return {
    // n points in time are n − 1 steps.
    ...(steps === undefined ? {} : { steps: steps - 1 }),
    ...(shift ? { shift } : {}),
    ...(scale === undefined || scale <= 1 ? {} : { guidance: { scale, low: low ?? 0, high: 1, channels: 3 } })
  }
}
