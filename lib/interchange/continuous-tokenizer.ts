/**
 * Tokenizers of continuous_tokenizer (SoftVQ, MAETok, and its KL model), mapped to MacTok's parameter names and back.
 */

import { MactokError } from '../errors.js'
import type { TokenizerConfig, TokenizerConfigInput } from '../tokenizer/schema.js'
import { float32, type Weights, type WeightTensor, zeros } from '../weights/tensors.js'

/** Whether the names are those of a continuous_tokenizer checkpoint with ViT encoder and decoder. */
export function isContinuousTokenizer(names: Iterable<string>): boolean {
  const all = new Set(names)
  return ['encoder.model.patch_embed.proj.weight', 'quant_conv.weight', 'post_quant_conv.weight'].every((name) =>
    all.has(name)
  )
}

const rules: readonly (readonly [RegExp, string])[] = [
  [/^quant_conv\./, 'to_posterior.'],
  [/^post_quant_conv\./, 'from_latents.'],
  [/^decoder\.to_pixel\.model\.(weight|bias)$/, 'to_pixels.$1'],
  [/^decoder\.mask_token$/, 'decoder.reconstruction_token'],
  [/^(encoder|decoder)\.freqs$/, '$1.rope_freqs'],
  [/^(encoder|decoder)\.model\./, '$1.']
]

const known =
  /^((to_posterior|from_latents|to_pixels)\.(weight|bias)|quantize\.embedding|(encoder|decoder)\.(cls_token|pos_embed|latent_pos_embed|rope_freqs|norm\.(weight|bias)|blocks\.\d+\.(norm[12]\.(weight|bias)|attn\.(qkv|proj)\.(weight|bias)|ls[12]\.gamma|mlp\.fc[12]\.(weight|bias)))|encoder\.(patch_embed\.proj\.(weight|bias)|mask_token|latent_tokens)|decoder\.reconstruction_token)$/

/**
 * MacTok's name, or undefined for unused tensors: RoPE's index buffers, the decoder's idle patch embedding, alignment
 * heads.
 */
export function continuousTokenizerName(name: string): string | undefined {
  const mapped = rules.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), name)
  return known.test(mapped) ? mapped : undefined
}

export interface MappedTokenizer {
  weights: Weights
  config: TokenizerConfigInput
  /** Unused tensors of the checkpoint. */
  ignored: string[]
  /** Parameters that the checkpoint lacks; they are zeros. */
  filled: string[]
}

/** Settings that shapes do not determine. */
export interface TokenizerHints {
  /** Attention heads. Default: width / 64, as in all published models. */
  heads?: { encoder?: number; decoder?: number }
  /** SoftVQ's temperature. Default 0.07. */
  temperature?: number
  /** Whether SoftVQ normalises tokens and codes. Default true. */
  normalise?: boolean
}

/**
 * Maps tensors to MacTok's names, and derives the configuration from their shapes. With RoPE the reference's decoder
 * adds no learned positions, so its `pos_embed` is dropped; its encoder adds both, so it stays. An encoder trained
 * without masks has no mask token; it becomes zeros.
 */
export function mapContinuousTokenizer(
  weights: Weights,
  { heads = {}, temperature = 0.07, normalise = true }: TokenizerHints = {}
): MappedTokenizer {
  const mapped = new Map<string, WeightTensor>()
  const ignored: string[] = []
  for (const [name, tensor] of weights) {
    const target = continuousTokenizerName(name)
    if (target === undefined) ignored.push(name)
    else mapped.set(target, tensor)
  }
  const shape = (name: string): readonly number[] => {
    const tensor = mapped.get(name)
    if (!tensor) throw new MactokError('ERR_FORMAT', `The tokenizer checkpoint lacks "${name}"`)
    return tensor.shape
  }
  const rope = mapped.has('decoder.rope_freqs')
  if (rope && mapped.delete('decoder.pos_embed')) ignored.push('decoder.model.pos_embed')
  const filled = mapped.has('encoder.mask_token') ? [] : ['encoder.mask_token']
  for (const name of filled) mapped.set(name, zeros([1, 1, shape('encoder.pos_embed')[2] as number]))

  const vit = (part: 'encoder' | 'decoder') => {
    const [hidden, width] = shape(`${part}.blocks.0.mlp.fc1.weight`) as [number, number]
    const count = heads[part] ?? width / 64
    if (!Number.isInteger(count)) {
      throw new MactokError('ERR_FORMAT', `The number of heads for width ${width} is unknown: set heads`)
    }
    let depth = 0
    while (mapped.has(`${part}.blocks.${depth}.norm1.weight`)) depth++
    return {
      width,
      depth,
      heads: count,
      mlpRatio: hidden / width,
      layerScale: mapped.has(`${part}.blocks.0.ls1.gamma`) ? 1e-5 : null,
      cls: mapped.has(`${part}.cls_token`),
      positions: rope ? ('rope' as const) : ('learned' as const)
    }
  }
  const [posterior] = shape('to_posterior.weight') as [number, number]
  const [, latentChannels] = shape('from_latents.weight') as [number, number]
  const [, , patchSize] = shape('encoder.patch_embed.proj.weight') as [number, number, number, number]
  const encoder = vit('encoder')
  const grid = Math.sqrt((shape('encoder.pos_embed')[1] as number) - (encoder.cls ? 1 : 0))
  if (weights.has('quantize.embedding.weight')) {
    throw new MactokError('ERR_FORMAT', 'The tokenizer checkpoint has a VQ bottleneck: expected KL, AE or SoftVQ')
  }
  const codes = mapped.get('quantize.embedding')?.shape
  if (codes && codes.length !== 3) {
    throw new MactokError(
      'ERR_FORMAT',
      `"quantize.embedding" of shape [${codes}] is not SoftVQ's, which has three dimensions`
    )
  }
  const [codebooks, codebookSize] = (codes ?? []) as [number, number]
  const bottleneck = codes ? 'softvq' : posterior === 2 * latentChannels ? 'kl' : 'ae'
  return {
    weights: mapped,
    config: {
      imageSize: grid * patchSize,
      patchSize,
      latentTokens: shape('encoder.latent_tokens')[1] as number,
      latentChannels,
      bottleneck,
      ...(codes ? { softvq: { codebooks, codebookSize, temperature, normalise } } : {}),
      encoder,
      decoder: vit('decoder')
    },
    ignored,
    filled
  }
}

/** continuous_tokenizer's name of a parameter of MacTok: the inverse of the rules. */
export const continuousTokenizerOriginal = (name: string): string =>
  name
    .replace(/^to_posterior\./, 'quant_conv.')
    .replace(/^from_latents\./, 'post_quant_conv.')
    .replace(/^to_pixels\./, 'decoder.to_pixel.model.')
    .replace(/^decoder\.reconstruction_token$/, 'decoder.mask_token')
    .replace(/^(encoder|decoder)\.rope_freqs$/, '$1.freqs')
    .replace(/^(encoder|decoder)\.(cls_token|pos_embed|blocks\.|norm\.|patch_embed\.)/, '$1.model.$2')

/**
 * Tensors that loading with strict keys requires, though the networks do not use them or can derive them from the grid.
 */
export function continuousTokenizerFillers({ imageSize, patchSize, encoder, decoder }: TokenizerConfig): Weights {
  const grid = imageSize / patchSize
  const fillers = new Map<string, WeightTensor>([
    ['decoder.model.patch_embed.proj.weight', zeros([decoder.width, 3, patchSize, patchSize])],
    ['decoder.model.patch_embed.proj.bias', zeros([decoder.width])]
  ])
  const raster = (coordinate: (i: number) => number) =>
    float32(
      Float32Array.from({ length: grid * grid }, (_, i) => coordinate(i)),
      [grid * grid]
    )
  for (const [part, { positions, width }] of Object.entries({ encoder, decoder })) {
    if (positions !== 'rope') continue
    fillers.set(
      `${part}.freqs_t_x`,
      raster((i) => i % grid)
    )
    fillers.set(
      `${part}.freqs_t_y`,
      raster((i) => Math.floor(i / grid))
    )
    // timm's positions have room for `cls` even without one.
    if (part === 'decoder') fillers.set('decoder.model.pos_embed', zeros([1, grid * grid + 1, width]))
  }
  return fillers
}
