/** Names and shapes of a configuration's parameters, to check checkpoints against without building the network. */

import { MactokError } from '../errors.js'
import { type GeneratorConfig, sequenceLength } from '../generator/schema.js'
import type { TokenizerConfig } from '../tokenizer/schema.js'
import type { Weights } from '../weights/tensors.js'

export type Shapes = ReadonlyMap<string, readonly number[]>

type Entry = readonly [name: string, shape: readonly number[]]

const linear = (name: string, inputs: number, outputs: number): Entry[] => [
  [`${name}.weight`, [outputs, inputs]],
  [`${name}.bias`, [outputs]]
]

const under = (name: string, entries: readonly Entry[]): Entry[] =>
  entries.map(([key, shape]) => [`${name}.${key}`, shape])

const repeat = (count: number, entries: readonly Entry[]): Entry[] =>
  Array.from({ length: count }, (_, i) => under(`blocks.${i}`, entries)).flat()

const attention = (width: number): Entry[] => [
  ...linear('attn.qkv', width, 3 * width),
  ...linear('attn.proj', width, width)
]

/** Channels of the latents, tokens that the network sees, and outputs per token. */
export function generatorTokens({ latentShape, patchSize, learnSigma }: GeneratorConfig) {
  const onGrid = latentShape.length === 3
  const channels = latentShape[onGrid ? 0 : 1] as number
  const side = (latentShape[1] as number) / patchSize
  const outputs = channels * patchSize ** 2 * (learnSigma ? 2 : 1)
  return { onGrid, channels, side, tokens: sequenceLength({ latentShape, patchSize }), outputs }
}

/** Hidden width of LightningDiT's SwiGLU. */
export const swigluWidth = (width: number, mlpRatio: number): number =>
  Math.trunc((2 * Math.trunc(width * mlpRatio)) / 3)

/** The parameters of a generator, SiT or LightningDiT. */
export function generatorShapes(config: GeneratorConfig): Shapes {
  const { model, width, depth, heads, mlpRatio, patchSize, qkNorm, shift, classes } = config
  const { onGrid, channels, tokens, outputs } = generatorTokens(config)
  const lightning = model === 'lightning-dit'
  const hidden = lightning ? swigluWidth(width, mlpRatio) : Math.trunc(width * mlpRatio)
  const mlp = lightning
    ? [...linear('mlp.w12', width, 2 * hidden), ...linear('mlp.w3', hidden, width)]
    : [...linear('mlp.fc1', width, hidden), ...linear('mlp.fc2', hidden, width)]
  const norms: Entry[] = lightning
    ? [
        ['norm1.weight', [width]],
        ['norm2.weight', [width]]
      ]
    : []
  const headNorms: Entry[] = qkNorm
    ? [
        ['attn.q_norm.weight', [width / heads]],
        ['attn.k_norm.weight', [width / heads]]
      ]
    : []
  const block = [
    ...norms,
    ...attention(width),
    ...headNorms,
    ...mlp,
    ...linear('adaLN_modulation.1', width, (shift ? 6 : 4) * width)
  ]
  const embedder: Entry[] = onGrid
    ? [
        ['x_embedder.proj.weight', [width, channels, patchSize, patchSize]],
        ['x_embedder.proj.bias', [width]]
      ]
    : linear('x_embedder', channels, width)
  const finalNorm: Entry[] = lightning ? [['final_layer.norm_final.weight', [width]]] : []
  return new Map([
    ...embedder,
    ...linear('t_embedder.mlp.0', 256, width),
    ...linear('t_embedder.mlp.2', width, width),
    ['y_embedder.embedding_table.weight', [classes + 1, width]],
    ['pos_embed', [1, tokens, width]],
    ...repeat(depth, block),
    ...finalNorm,
    ...linear('final_layer.linear', width, outputs),
    ...linear('final_layer.adaLN_modulation.1', width, 2 * width)
  ])
}

const norm = (name: string, width: number): Entry[] => [
  [`${name}.weight`, [width]],
  [`${name}.bias`, [width]]
]

function vitShapes(vit: TokenizerConfig['encoder'], patches: number, learnedPositions: boolean): Entry[] {
  const { width, depth, mlpRatio, layerScale, cls, positions } = vit
  const hidden = Math.round(width * mlpRatio)
  const scale = (name: string): Entry[] => (layerScale === null ? [] : [[name, [width]]])
  const block = [
    ...norm('norm1', width),
    ...attention(width),
    ...scale('ls1.gamma'),
    ...norm('norm2', width),
    ...linear('mlp.fc1', width, hidden),
    ...linear('mlp.fc2', hidden, width),
    ...scale('ls2.gamma')
  ]
  const clsToken: Entry[] = cls ? [['cls_token', [1, 1, width]]] : []
  const learned: Entry[] = learnedPositions ? [['pos_embed', [1, patches + (cls ? 1 : 0), width]]] : []
  const rotary: Entry[] = positions === 'rope' ? [['rope_freqs', [2, depth, width / 2]]] : []
  return [...clsToken, ...learned, ...rotary, ...repeat(depth, block), ...norm('norm', width)]
}

/** The parameters of a tokenizer. */
export function tokenizerShapes(config: TokenizerConfig): Shapes {
  const { imageSize, patchSize, latentTokens, latentChannels, bottleneck, softvq, encoder, decoder } = config
  const patches = (imageSize / patchSize) ** 2
  const codes: Entry[] = softvq ? [['quantize.embedding', [softvq.codebooks, softvq.codebookSize, latentChannels]]] : []
  const encoderOwn: Entry[] = [
    ['patch_embed.proj.weight', [encoder.width, 3, patchSize, patchSize]],
    ['patch_embed.proj.bias', [encoder.width]],
    ['mask_token', [1, 1, encoder.width]],
    ['latent_tokens', [1, latentTokens, encoder.width]],
    ['latent_pos_embed', [1, latentTokens, encoder.width]]
  ]
  const decoderOwn: Entry[] = [
    ['reconstruction_token', [1, 1, decoder.width]],
    ['latent_pos_embed', [1, latentTokens, decoder.width]]
  ]
  return new Map([
    ...under('encoder', [...vitShapes(encoder, patches, true), ...encoderOwn]),
    ...linear('to_posterior', encoder.width, (bottleneck === 'kl' ? 2 : 1) * latentChannels),
    ...codes,
    ...linear('from_latents', latentChannels, decoder.width),
    ...under('decoder', [...vitShapes(decoder, patches, decoder.positions === 'learned'), ...decoderOwn]),
    ...linear('to_pixels', decoder.width, 3 * patchSize ** 2)
  ])
}

/** The number of elements of all parameters. */
export const parameterCount = (shapes: Shapes): number =>
  [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0)

const shownNames = 12

export function nameList(names: readonly string[]): string {
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : ''
  return `${names.slice(0, shownNames).join(', ')}${more}`
}

/**
 * Splits weights into the tensors that a configuration needs and the names of unused ones.
 * @throws {MactokError} `ERR_FORMAT` naming what is missing or has another shape
 */
export function fitShapes(weights: Weights, shapes: Shapes, file: string): { weights: Weights; leftOver: string[] } {
  const missing = [...shapes.keys()].filter((name) => !weights.has(name))
  if (missing.length > 0) throw new MactokError('ERR_FORMAT', `${file} lacks ${nameList(missing)}`)
  for (const [name, shape] of shapes) {
    const found = weights.get(name)?.shape
    if (`${found}` !== `${shape}`) {
      throw new MactokError('ERR_FORMAT', `${file} has "${name}" of shape [${found}], expected [${shape}]`)
    }
  }
  return {
    weights: new Map([...weights].filter(([name]) => shapes.has(name))),
    leftOver: [...weights.keys()].filter((name) => !shapes.has(name))
  }
}
