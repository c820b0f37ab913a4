/**
 * Generators of other projects: SiT, REPA, LightningDiT, and continuous_tokenizer's SiT on tokens. Their parameters
 * have MacTok's names; their configurations are derived here.
 */

import { MactokError } from '../errors.js'
import type { GeneratorConfigInput } from '../generator/schema.js'
import type { Weights } from '../weights/tensors.js'
import type { CheckpointRecord } from '../weights/weights-file.js'

export type GeneratorLayout = 'sit' | 'repa' | 'lightningdit'

/** The project whose tensor names these are; undefined when it is none of these. */
export function detectGenerator(names: Iterable<string>, record: CheckpointRecord = {}): GeneratorLayout | undefined {
  const all = new Set(names)
  const transformer = ['t_embedder.mlp.0.weight', 'y_embedder.embedding_table.weight', 'final_layer.linear.weight']
  if (!transformer.every((name) => all.has(name))) return undefined
  if (all.has('blocks.0.mlp.w12.weight')) return 'lightningdit'
  // continuous_tokenizer's SiT on tokens has REPA's settings, but nothing else of REPA.
  if (!all.has('x_embedder.proj.weight')) return 'sit'
  const projectors = [...all].some((name) => /^(projectors|decoder_blocks)\./.test(name))
  return projectors || 'enc_type' in settings(record) ? 'repa' : 'sit'
}

/** Renames the `decoder_blocks` of REPA's first checkpoints, which count the blocks after the alignment from zero. */
export function joinBlocks(weights: Weights): Weights {
  let first = 0
  while (weights.has(`blocks.${first}.attn.qkv.weight`)) first++
  const rename = (name: string) =>
    name.replace(/^decoder_blocks\.(\d+)\./, (_, index: string) => `blocks.${first + Number(index)}.`)
  return new Map([...weights].map(([name, tensor]) => [rename(name), tensor]))
}

/** The training settings: `args` of SiT, REPA and continuous_tokenizer. */
function settings(record: CheckpointRecord): CheckpointRecord {
  const { args } = record
  return typeof args === 'object' && args !== null ? (args as CheckpointRecord) : {}
}

/** A section of LightningDiT's `config`. */
const section = (record: CheckpointRecord, name: string): CheckpointRecord => {
  const { config } = record
  const found = (config as Record<string, unknown> | undefined)?.[name]
  return typeof found === 'object' && found !== null ? (found as CheckpointRecord) : {}
}

/** Heads of the published sizes by width: shapes do not determine them. */
const publishedHeads: Readonly<Record<number, number>> = {
  384: 6,
  768: 12,
  1024: 16,
  1152: 16,
  1536: 24,
  1792: 28
}

/** Settings that take precedence over the checkpoint's. */
export interface GeneratorHints {
  heads?: number | null
  path?: 'linear' | 'gvp' | 'vp' | null
  prediction?: 'velocity' | 'noise' | 'score' | null
  time?: 'data_at_1' | 'data_at_0' | null
}

/** A generator checkpoint: its tensors and whatever else its file has. */
export interface GeneratorCheckpoint {
  weights: Weights
  layout: GeneratorLayout
  record: CheckpointRecord
  /** The metadata of a safetensors file. */
  metadata: Readonly<Record<string, string>>
  file: string
}

/** Derives the configuration from shapes and records; hints take precedence. */
export function deriveGeneratorConfig(
  checkpoint: GeneratorCheckpoint,
  hints: GeneratorHints = {}
): GeneratorConfigInput {
  const { weights, layout, metadata, file } = checkpoint
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
  const recordedHeads = metadata.num_heads === undefined ? undefined : Number(metadata.num_heads)
  const derivedHeads = qkNorm
    ? width / (shape('blocks.0.attn.q_norm.weight')[0] as number)
    : (recordedHeads ?? publishedHeads[width])
  const heads = hints.heads ?? derivedHeads
  if (heads === undefined) {
    throw new MactokError('ERR_FORMAT', `The number of heads for width ${width} is unknown: set heads`)
  }
  return {
    model: layout === 'lightningdit' ? 'lightning-dit' : 'sit',
    width,
    depth,
    heads,
    patchSize,
    qkNorm,
    mlpRatio: deriveMlpRatio(weights, width, file),
    latentShape: onGrid ? [channels, side, side] : [tokens, channels],
    classes: (shape('y_embedder.embedding_table.weight')[0] as number) - 1,
    learnSigma: outputs === 2 * channels * patchSize ** 2,
    shift: shape('blocks.0.adaLN_modulation.1.weight')[0] !== 4 * width,
    flow: deriveFlow(checkpoint, onGrid, hints)
  }
}

function deriveMlpRatio(weights: Weights, width: number, file: string): number {
  const hidden = weights.get('blocks.0.mlp.fc1.weight')?.shape[0]
  if (hidden !== undefined) return hidden / width
  const gated = (weights.get('blocks.0.mlp.w12.weight')?.shape[0] ?? 0) / 2
  // LightningDiT's hidden width is int(2/3 · ratio · D). Every published size has 4, so try it first.
  const ratio = [4, 2, 3, 6, 8, Math.ceil(1.5 * gated) / width].find(
    (each) => Math.trunc((2 * Math.trunc(width * each)) / 3) === gated
  )
  if (ratio === undefined) {
    throw new MactokError('ERR_FORMAT', `${file} has an MLP of ${gated} channels for width ${width}`)
  }
  return ratio
}

const predictions: Readonly<Record<string, 'velocity' | 'noise' | 'score'>> = {
  velocity: 'velocity',
  v: 'velocity',
  noise: 'noise',
  score: 'score'
}
/** REPA's cosine path is SiT's GVP. */
const paths: Readonly<Record<string, 'linear' | 'gvp' | 'vp'>> = {
  linear: 'linear',
  gvp: 'gvp',
  vp: 'vp',
  cosine: 'gvp'
}

/**
 * Time runs from noise to data in SiT and LightningDiT, the other way in REPA and in continuous_tokenizer's SiT on
 * tokens.
 */
function deriveFlow({ layout, record, metadata }: GeneratorCheckpoint, onGrid: boolean, hints: GeneratorHints) {
  const args = { ...section(record, 'transport'), ...settings(record), ...metadata }
  const path = paths[String(args.path_type).toLowerCase()] ?? 'linear'
  const prediction = predictions[String(args.prediction).toLowerCase()] ?? 'velocity'
  const usualTime = layout === 'repa' || !onGrid ? 'data_at_0' : 'data_at_1'
  const time = args.time === 'data_at_0' || args.time === 'data_at_1' ? args.time : usualTime
  return { path: hints.path ?? path, prediction: hints.prediction ?? prediction, time: hints.time ?? time }
}

const finiteNumber = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

/** The scale of Stable Diffusion's latents, which SiT and REPA were trained on. */
const stableDiffusionScale = 0.18215

/**
 * The factor that latents are multiplied by before the network, if it is known; LightningDiT's applies after
 * normalisation.
 */
export function latentScale(
  { layout, record }: GeneratorCheckpoint,
  latentShape: readonly number[]
): number | undefined {
  const data = section(record, 'data')
  if (layout === 'lightningdit') {
    return finiteNumber(data.latent_multiplier) ?? (Object.keys(data).length > 0 ? stableDiffusionScale : undefined)
  }
  return latentShape.length === 3 && latentShape[0] === 4 ? stableDiffusionScale : undefined
}

/** Recommended sampling settings. */
export interface ImportedSampling {
  steps?: number
  shift?: number
  /** Times from 0 (noise) to 1 (data). */
  guidance?: { scale: number; low?: number; high?: number; channels?: number }
}

/** Derives sampling from LightningDiT's configuration, which guides three channels from a time on. */
export function deriveSampling({ layout, record }: GeneratorCheckpoint): ImportedSampling {
  if (layout !== 'lightningdit') return {}
  const settings = section(record, 'sample')
  const scale = finiteNumber(settings.cfg_scale)
  const low = finiteNumber(settings.cfg_interval_start)
  const steps = finiteNumber(settings.num_sampling_steps)
  const shift = finiteNumber(settings.timestep_shift)
  return {
    // LightningDiT counts points in time, one more than steps.
    ...(steps === undefined ? {} : { steps: steps - 1 }),
    ...(shift ? { shift } : {}),
    ...(scale === undefined || scale <= 1 ? {} : { guidance: { scale, low: low ?? 0, high: 1, channels: 3 } })
  }
}
