/**
 * DINOv2 checkpoints in every published layout, mapped to timm's names and conventions
 * (`vit_*_patch14_dinov2`, `vit_*_patch14_reg4_dinov2`).
 */

import path from 'node:path'
import { oneOf } from '../checks.js'
import { invalidParameter, MactokError } from '../errors.js'
import { readJson } from '../files/read.js'
import { isFolder } from '../files/stat.js'
import type { NativeVitConfig } from '../native/addon.js'
import { findWeights, modelFile } from './locate.js'
import { add, checkWeights, concatenate, slicePositions, type Weights, type WeightTensor } from './tensors.js'
import { openWeights } from './weights-file.js'

export type Dinov2Layout = 'huggingface' | 'timm' | 'facebook'

/** The network that a checkpoint belongs to. */
export interface Dinov2Config {
  vit: NativeVitConfig
  /** Side of a patch, in pixels. */
  patchSize: number
  /** Patches per side of the grid of positions (37 for 518-pixel images). */
  grid: number
}

/** The layout whose tensor names these are; undefined when they are not DINOv2's. */
export function detectDinov2(names: Iterable<string>): Dinov2Layout | undefined {
  if (typeof Object(names)[Symbol.iterator] !== 'function') throw invalidParameter('names', 'names of tensors', names)
  const all = [...names]
  const other = all.find((name) => typeof name !== 'string')
  if (other !== undefined) throw invalidParameter('names', 'names of tensors', other)
  const has = (pattern: RegExp) => all.some((name) => pattern.test(name))
  if (has(/^(\w+\.)?embeddings\.patch_embeddings\.projection\.weight$/)) return 'huggingface'
  if (!has(/^patch_embed\.proj\.weight$/) || !has(/^cls_token$/)) return undefined
  return has(/^(mask_token|register_tokens)$|^blocks\.\d+\.\d+\.|\.mlp\.w12\./) ? 'facebook' : 'timm'
}

type Rule = readonly [pattern: RegExp, replacement: string]

/** Hugging Face: the names on the hub and those of transformers 5. A `~k` marks part k of a concatenated tensor. */
const huggingFaceRules: readonly Rule[] = [
  [/^\w+\.(?=(embeddings|encoder|layernorm)\.)/, ''],
  [/^embeddings\.cls_token$/, 'cls_token'],
  [/^embeddings\.register_tokens$/, 'reg_token'],
  [/^embeddings\.position_embeddings$/, 'pos_embed'],
  [/^embeddings\.patch_embeddings\.projection\./, 'patch_embed.proj.'],
  [/^layernorm\./, 'norm.'],
  [/^encoder\.layer\./, 'blocks.'],
  [/\.attention\.(attention\.query|q_proj)\.(\w+)$/, '.attn.qkv.$2~0'],
  [/\.attention\.(attention\.key|k_proj)\.(\w+)$/, '.attn.qkv.$2~1'],
  [/\.attention\.(attention\.value|v_proj)\.(\w+)$/, '.attn.qkv.$2~2'],
  [/\.attention\.(output\.dense|o_proj)\./, '.attn.proj.'],
  [/\.layernorm_before\./, '.norm1.'], // DINO v1, which is Hugging Face's plain ViT
  [/\.layernorm_after\./, '.norm2.'],
  [/\.intermediate\.dense\./, '.mlp.fc1.'],
  [/\.output\.dense\./, '.mlp.fc2.'],
  [/\.layer_scale([12])\.lambda1$/, '.ls$1.gamma'],
  [/\.mlp\.gate_proj\.(\w+)$/, '.mlp.fc1.$1~0'],
  [/\.mlp\.up_proj\.(\w+)$/, '.mlp.fc1.$1~1'],
  [/\.mlp\.weights_in\./, '.mlp.fc1.'],
  [/\.mlp\.(weights_out|down_proj)\./, '.mlp.fc2.']
]

/** The original repository: blocks may be grouped in chunks, `blocks.1.12.…`; the second index counts across chunks. */
const facebookRules: readonly Rule[] = [
  [/^register_tokens$/, 'reg_token'],
  [/^blocks\.\d+\.(?=\d+\.)/, 'blocks.'],
  [/\.mlp\.w12\./, '.mlp.fc1.'],
  [/\.mlp\.w3\./, '.mlp.fc2.']
]

const rulesOf: Record<Dinov2Layout, readonly Rule[]> = {
  huggingface: huggingFaceRules,
  facebook: facebookRules,
  timm: []
}

/** Tensors that the forward pass of a frozen DINO does not use. */
const unused = /(^|\.)mask_token$|^(classifier|head)\.|^(\w+\.)?pooler\./

/** timm's name of a tensor (with `~k` for part k of a concatenated one), or undefined for an unused tensor. */
export function dinov2Name(name: string, layout: Dinov2Layout): string | undefined {
  if (unused.test(name)) return undefined
  return rulesOf[layout].reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), name)
}

const expected =
  /^(cls_token|reg_token|pos_embed|patch_embed\.proj\.(weight|bias)|norm\.(weight|bias)|blocks\.\d+\.(norm[12]\.(weight|bias)|attn\.(qkv|proj)\.(weight|bias)|ls[12]\.gamma|mlp\.fc[12]\.(weight|bias)))$/

/**
 * Maps any layout's tensors to timm's names: q, k and v concatenated, SwiGLU's gate and value concatenated (gate
 * first), and with registers timm's convention, in which `cls_token` includes its position and `pos_embed` covers only
 * the patches.
 * @throws {MactokError} `ERR_FORMAT` for names that are not DINOv2's
 */
export function mapDinov2(weights: Weights, known?: Dinov2Layout): Weights {
  checkWeights(weights)
  if (known !== undefined) oneOf('known', Object.keys(rulesOf), known)
  const layout = known ?? detectDinov2(weights.keys())
  if (!layout) {
    const first = [...weights.keys()].slice(0, 3).join(', ')
    throw new MactokError('ERR_FORMAT', `Not a DINOv2 checkpoint; its first tensors are ${first}`)
  }
  const parts = new Map<string, WeightTensor[]>()
  for (const [name, tensor] of weights) {
    const mapped = dinov2Name(name, layout)
    if (mapped === undefined) continue
    const [target, part = '0'] = mapped.split('~') as [string, string?]
    if (!expected.test(target)) {
      throw new MactokError('ERR_FORMAT', `Unexpected tensor "${name}" in a DINOv2 checkpoint`)
    }
    const list = parts.get(target) ?? []
    list[Number(part)] = tensor
    parts.set(target, list)
  }
  const result = new Map<string, WeightTensor>()
  for (const [name, list] of parts) {
    if (list.includes(undefined as never)) throw new MactokError('ERR_FORMAT', `Parts of "${name}" are missing`)
    result.set(
      name,
      list.length === 1 ? (list[0] as WeightTensor) : concatenate(list as [WeightTensor, ...WeightTensor[]])
    )
  }
  const [cls, pos] = [result.get('cls_token'), result.get('pos_embed')]
  if (layout !== 'timm' && result.has('reg_token') && cls && pos) {
    result.set('cls_token', add(cls, slicePositions(pos, 0, 1)))
    result.set('pos_embed', slicePositions(pos, 1, pos.shape[1] as number))
  }
  return result
}

/** The fields of a Hugging Face `config.json` that shapes do not determine. */
export interface Dinov2Json {
  num_attention_heads?: number
  layer_norm_eps?: number
  layerscale_value?: number
}

/**
 * Derives the configuration of a checkpoint in timm's names from its shapes. What shapes do not determine comes from
 * `config.json`; without it, heads are 64 wide as in every published DINOv2.
 * `mlpRatio` is timm's: rows of `mlp.fc1` over the width, which counts SwiGLU's gate (16/3 for giant).
 */
export function dinov2Config(weights: Weights, json: Dinov2Json = {}): Dinov2Config {
  checkWeights(weights)
  const shape = (name: string): readonly number[] => {
    const tensor = weights.get(name)
    if (!tensor) throw new MactokError('ERR_FORMAT', `The DINOv2 checkpoint lacks "${name}"`)
    return tensor.shape
  }
  const [width, , patchSize] = shape('patch_embed.proj.weight') as [number, number, number, number]
  const [hidden] = shape('blocks.0.mlp.fc1.weight') as [number, number]
  const [, inner] = shape('blocks.0.mlp.fc2.weight') as [number, number]
  const registers = weights.has('reg_token') ? (shape('reg_token')[1] as number) : 0
  const patches = (shape('pos_embed')[1] as number) - (registers > 0 ? 0 : 1)
  const grid = Math.sqrt(patches)
  const heads = json.num_attention_heads ?? width / 64
  if (!Number.isInteger(grid))
    throw new MactokError('ERR_FORMAT', `The positions of ${patches} patches are not a square grid`)
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    const given = json.num_attention_heads
    throw new MactokError(
      'ERR_FORMAT',
      given === undefined
        ? `The number of heads for width ${width} is unknown: add a config.json that has it`
        : `Expected a divisor of width ${width} for num_attention_heads in config.json but received ${JSON.stringify(given)}`
    )
  }
  let depth = 0
  while (weights.has(`blocks.${depth}.norm1.weight`)) depth++
  return {
    vit: {
      width,
      depth,
      heads,
      mlpRatio: hidden / width,
      mlp: hidden === inner ? 'gelu' : 'swiglu',
      layerScale: weights.has('blocks.0.ls1.gamma') ? (json.layerscale_value ?? 1e-5) : null,
      cls: true,
      registers,
      positions: 'learned',
      ropeTheta: 10,
      normEps: json.layer_norm_eps ?? 1e-6
    },
    patchSize,
    grid
  }
}

export interface Dinov2Checkpoint extends AsyncDisposable {
  /** The folder or file. */
  path: string
  config: Dinov2Config
  /** Tensors in timm's names and conventions; read them before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens a DINOv2 checkpoint of any layout, by name (`dinov2-small`) or by path.
 * @throws {MactokError} `ERR_FORMAT` when it is not found or not a DINOv2
 */
export async function openDinov2(nameOrPath: string): Promise<Dinov2Checkpoint> {
  const place = await findWeights(nameOrPath)
  const inFolder = await isFolder(place)
  const file = await openWeights(inFolder ? path.join(place, modelFile) : place)
  const close = () => file.close()
  try {
    const json = await readJson(path.join(inFolder ? place : path.dirname(place), 'config.json'))
    const weights = mapDinov2(file.weights)
    const config = dinov2Config(weights, json as Dinov2Json)
    return { path: place, config, weights, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
