/** Tokenizers of continuous_tokenizer (SoftVQ, MAETok, and its KL model), brought to MacTok's parameter names. */

import { MactokError } from '../errors.js'
import type { TokenizerConfigInput } from '../tokenizer/schema.js'
import { type Weights, type WeightTensor, zeros } from './tensors.js'

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

/** MacTok's name, or undefined for what MacTok does not use: RoPE's index buffers, the decoder's idle patch embedding, alignment heads. */
export function continuousTokenizerName(name: string): string | undefined {
  const mapped = rules.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), name)
  return known.test(mapped) ? mapped : undefined
}

export interface ImportedTokenizer {
  weights: Weights
  config: Omit<TokenizerConfigInput, 'bottleneck'> & { bottleneck: 'kl' | 'ae' | 'softvq' }
  /** Tensors of the checkpoint that were left out. */
  ignored: string[]
}

/**
 * Tensors under MacTok's names, and the configuration that their shapes tell.
 * With RoPE the reference's decoder adds no learned positions, so its `pos_embed` is left out; its encoder adds both, so it stays.
 * An encoder trained without masks has no mask token and gets zeros.
 * @param heads number of attention heads, which shapes do not tell (default: width / 64, as in all published models)
 */
export function mapContinuousTokenizer(
  weights: Weights,
  heads: { encoder?: number; decoder?: number } = {}
): ImportedTokenizer {
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
  if (rope) mapped.delete('decoder.pos_embed')
  if (!mapped.has('encoder.mask_token'))
    mapped.set('encoder.mask_token', zeros([1, 1, shape('encoder.pos_embed')[2] as number]))

  const vit = (part: 'encoder' | 'decoder') => {
    const [hidden, width] = shape(`${part}.blocks.0.mlp.fc1.weight`) as [number, number]
    const count = heads[part] ?? width / 64
    if (!Number.isInteger(count)) {
      throw new MactokError(
        'ERR_FORMAT',
        `The number of heads for width ${width} is unknown: a config.json must tell num_attention_heads`
      )
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
  const bottleneck = posterior === 2 * latentChannels ? 'kl' : mapped.has('quantize.embedding') ? 'softvq' : 'ae'
  return {
    weights: mapped,
    config: {
      imageSize: grid * patchSize,
      patchSize,
      latentTokens: shape('encoder.latent_tokens')[1] as number,
      latentChannels,
      bottleneck,
      encoder,
      decoder: vit('decoder')
    },
    ignored
  }
}
