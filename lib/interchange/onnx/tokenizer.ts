/** A tokenizer's encoder and decoder as ONNX graphs (native/models/tokenizer.cpp). */

import type { TokenizerConfig } from '../../tokenizer/schema.js'
import type { Graph, Value } from './graph.js'
import type { Layers, Rotation } from './layers.js'

type Vit = TokenizerConfig['encoder']

const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + (b[i] as number))

/** Blocks and final norm of encoder or decoder. firstPatch: where the image tokens begin among the `tokens`. */
class Transformer {
  constructor(
    private readonly layers: Layers,
    private readonly name: 'encoder' | 'decoder',
    private readonly vit: Vit,
    private readonly grid: number
  ) {}

  run(x: Value, tokens: number, firstPatch: number): Value {
    let y = x
    for (let i = 0; i < this.vit.depth; i++) y = this.#block(y, i, tokens, firstPatch)
    return y
  }

  norm(x: Value): Value {
    return this.layers.layerNorm(x, `${this.name}.norm`, this.vit.width)
  }

  #block(x: Value, index: number, tokens: number, firstPatch: number): Value {
    const { layers } = this
    const { width, heads } = this.vit
    const name = `${this.name}.blocks.${index}`
    const scaled = (branch: Value, scale: string) => {
      const precise = layers.float32(branch)
      return layers.weights.has(`${scale}.gamma`) ? layers.multiply(precise, layers.weight(`${scale}.gamma`)) : precise
    }
    const rotation = this.vit.positions === 'rope' ? this.#rotation(index, tokens, firstPatch) : null
    const attended = layers.attention(layers.layerNorm(x, `${name}.norm1`, width), `${name}.attn`, heads, rotation)
    const y = layers.add(x, scaled(attended, `${name}.ls1`))
    const hidden = layers.gelu(layers.linear(layers.layerNorm(y, `${name}.norm2`, width), `${name}.mlp.fc1`))
    return layers.add(y, scaled(layers.linear(hidden, `${name}.mlp.fc2`), `${name}.ls2`))
  }

  /** Mixed RoPE: column · fx + row · fy for image tokens, 0 for all others. */
  #rotation(block: number, tokens: number, firstPatch: number): Rotation {
    const { width, heads, depth } = this.vit
    const pairs = width / heads / 2
    return this.layers.rotation(`${this.name}.rope.${block}`, [heads, tokens, pairs], async () => {
      const frequencies = await this.layers.read(`${this.name}.rope_freqs`) // [2, depth, heads · pairs]
      const angles = new Float32Array(heads * tokens * pairs)
      for (let head = 0; head < heads; head++) {
        for (let patch = 0; patch < this.grid ** 2; patch++) {
          const [column, row] = [patch % this.grid, Math.floor(patch / this.grid)]
          for (let pair = 0; pair < pairs; pair++) {
            const at = block * heads * pairs + head * pairs + pair
            const [fx, fy] = [frequencies[at] as number, frequencies[depth * heads * pairs + at] as number]
            angles[(head * tokens + firstPatch + patch) * pairs + pair] = column * fx + row * fy
          }
        }
      }
      return angles
    })
  }
}

/** images float32 [batch, 3, H, W] in [-1, 1] -> `mean`, and `logvar` of a KL bottleneck, [batch, L, Z] each. */
export function buildEncoder(config: TokenizerConfig, layers: Layers): Graph {
  const { graph } = layers
  const { imageSize, patchSize, latentTokens, latentChannels, encoder, logvarRange } = config
  const { width, cls } = encoder
  const grid = imageSize / patchSize
  const first = latentTokens + (cls ? 1 : 0)
  const images = graph.input('images', 'float32', ['batch', 3, imageSize, imageSize])
  const prefix = graph.constant('encoder.prefix', 'float32', [1, first, width], async () => {
    const latents = sum(await layers.read('encoder.latent_tokens'), await layers.read('encoder.latent_pos_embed'))
    if (!cls) return latents
    const positions = await layers.read('encoder.pos_embed')
    return Float32Array.from([...latents, ...sum(await layers.read('encoder.cls_token'), positions)])
  })
  const positions = graph.constant('encoder.positions', 'float32', [1, grid ** 2, width], async () =>
    (await layers.read('encoder.pos_embed')).subarray(cls ? width : 0)
  )
  const patches = layers.add(layers.patchEmbed(images, 'encoder.patch_embed'), positions)
  const transformer = new Transformer(layers, 'encoder', encoder, grid)
  const tokens = layers.concatenate([layers.expand(prefix, images), patches])
  const encoded = transformer.run(tokens, first + grid ** 2, first)
  // In float32, as under autocast.
  const moments = layers.linear(transformer.norm(layers.tokens(encoded, 0, latentTokens)), 'to_posterior', 'float32')
  const shape = ['batch', latentTokens, latentChannels]
  if (config.bottleneck === 'kl') {
    const [mean, logvar] = graph.split('Split', 2, [moments], { axis: -1 }) as [Value, Value]
    const range = logvarRange.map((bound) => layers.number(bound, logvar))
    graph.output('mean', mean, shape)
    graph.output('logvar', graph.apply('Clip', [logvar, ...range]), shape)
  } else {
    graph.output('mean', config.bottleneck === 'softvq' ? softQuantize(moments, config, layers) : moments, shape)
  }
  return graph
}

/** SoftVQ: mixtures of codes, x [B, L, Z]. */
function softQuantize(x: Value, config: TokenizerConfig, layers: Layers): Value {
  const { latentTokens, latentChannels, softvq } = config
  const { codebooks, codebookSize, temperature, normalise } = softvq as NonNullable<typeof softvq>
  const { graph } = layers
  const codes = async () => {
    const values = await layers.read('quantize.embedding')
    if (!normalise) return values
    return values.map((value, i) => {
      const code = values.subarray(i - (i % latentChannels), i - (i % latentChannels) + latentChannels)
      return value / Math.max(Math.hypot(...code), 1e-12)
    })
  }
  const table = graph.constant('codes', 'float32', [codebooks, codebookSize, latentChannels], codes)
  const groups = graph.reshape(x, [0, codebooks, latentTokens / codebooks, latentChannels])
  const length = graph.apply('ReduceL2', [groups], { axes: [-1], keepdims: 1 })
  const tokens = normalise
    ? graph.apply('Div', [groups, graph.apply('Max', [length, layers.number(1e-12, length)])])
    : groups
  const similarity = graph.apply('MatMul', [tokens, graph.transpose(table, [0, 2, 1])])
  const sharp = graph.apply('Div', [similarity, layers.number(temperature, similarity)])
  const mixed = graph.apply('MatMul', [graph.apply('Softmax', [sharp], { axis: -1 }), table])
  return graph.reshape(mixed, [0, latentTokens, latentChannels])
}

/** latents float32 [batch, L, Z] -> images float32 [batch, 3, H, W], about [-1, 1]. */
export function buildDecoder(config: TokenizerConfig, layers: Layers): Graph {
  const { graph } = layers
  const { imageSize, patchSize, latentTokens, latentChannels, decoder } = config
  const { width, cls } = decoder
  const grid = imageSize / patchSize
  const count = grid ** 2
  const first = count + (cls ? 1 : 0)
  const latents = graph.input('latents', 'float32', ['batch', latentTokens, latentChannels])
  const image = graph.constant('decoder.image', 'float32', [1, first, width], async () => {
    const token = await layers.read('decoder.reconstruction_token')
    const tokens = Float32Array.from({ length: count * width }, (_, i) => token[i % width] as number)
    const own = cls ? await layers.read('decoder.cls_token') : new Float32Array()
    if (decoder.positions === 'rope') return Float32Array.from([...tokens, ...own])
    const positions = await layers.read('decoder.pos_embed')
    return Float32Array.from([...sum(tokens, positions.subarray(cls ? width : 0)), ...sum(own, positions)])
  })
  const placed = layers.add(
    layers.float32(layers.linear(latents, 'from_latents')),
    layers.weight('decoder.latent_pos_embed')
  )
  const transformer = new Transformer(layers, 'decoder', decoder, grid)
  const tokens = layers.concatenate([layers.expand(image, latents), placed])
  const decoded = transformer.run(tokens, first + latentTokens, 0)
  const pixels = layers.float32(layers.linear(transformer.norm(layers.tokens(decoded, 0, count)), 'to_pixels'))
  graph.output('images', layers.unpatchify(pixels, grid, patchSize, 3), ['batch', 3, imageSize, imageSize])
  return graph
}
