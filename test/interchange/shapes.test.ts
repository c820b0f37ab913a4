import { describe, expect, test } from '@jest/globals'
import { parseConfig } from '../../lib/config.js'
import { nativeGeneratorConfig } from '../../lib/generator/native-config.js'
import { generatorPresets } from '../../lib/generator/presets.js'
import { type GeneratorConfigInput, generatorSchema } from '../../lib/generator/schema.js'
import { generatorShapes, parameterCount, tokenizerShapes } from '../../lib/interchange/shapes.js'
import type { NativeState } from '../../lib/native/addon.js'
import { nativeTokenizerConfig } from '../../lib/tokenizer/native-config.js'
import { tokenizerPresets } from '../../lib/tokenizer/presets.js'
import { type TokenizerConfigInput, tokenizerSchema } from '../../lib/tokenizer/schema.js'
import { device, native } from '../support/native.js'

const generator = (config: GeneratorConfigInput) => parseConfig(generatorSchema, config)
const tokenizer = (config: TokenizerConfigInput) => parseConfig(tokenizerSchema, config)

/** Names and shapes of a native network. */
function shapesOf(state: NativeState): [string, number[]][] {
  const found = Object.entries(state).map(([name, tensor]): [string, number[]] => [name, tensor.shape])
  for (const tensor of Object.values(state)) tensor.dispose()
  return found.sort()
}

const small = { width: 24, depth: 2, heads: 2, classes: 3 }
const networks: GeneratorConfigInput[] = [
  { ...small, latentShape: [6, 4] },
  { ...small, latentShape: [4, 8, 8], patchSize: 2, learnSigma: true, mlpRatio: 2.5 },
  { ...small, model: 'lightning-dit', latentShape: [6, 4] },
  { ...small, model: 'lightning-dit', latentShape: [4, 4, 4], qkNorm: true, shift: false, mlpRatio: 3 }
]

const vit = { width: 24, depth: 2, heads: 2 }
const plain = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 3 }
const softvq = { codebooks: 2, codebookSize: 5, temperature: 0.07, normalise: true }
const tokenizers: TokenizerConfigInput[] = [
  { ...plain, encoder: vit, decoder: vit },
  {
    ...plain,
    bottleneck: 'ae',
    encoder: { ...vit, positions: 'rope', cls: false },
    decoder: { ...vit, positions: 'rope' }
  },
  { ...plain, bottleneck: 'softvq', softvq, encoder: { ...vit, layerScale: null }, decoder: { ...vit, cls: true } }
]

describe('shapes derived from a configuration', () => {
  test.each(networks)('of a generator are those of the network: %j', async (config) => {
    const complete = generator(config)
    const network = await native().createGenerator(nativeGeneratorConfig(complete), device, 0)
    expect([...generatorShapes(complete)].map(([name, shape]) => [name, [...shape]]).sort()).toEqual(
      shapesOf(network.state())
    )
    network.dispose()
  })

  test.each(tokenizers)('of a tokenizer are those of the network: %j', async (config) => {
    const complete = tokenizer(config)
    const network = await native().createTokenizer(nativeTokenizerConfig(complete), device, 0)
    expect([...tokenizerShapes(complete)].map(([name, shape]) => [name, [...shape]]).sort()).toEqual(
      shapesOf(network.state())
    )
    network.dispose()
  })
})

test('SiT-XL/2 on images has the parameters that its authors count', () => {
  const config = {
    ...generatorPresets['sit-xl'],
    latentShape: [4, 32, 32],
    patchSize: 2,
    learnSigma: true,
    classes: 1000
  }
  // "SiT Parameters: 675,129,632", logged by SiT's (and DiT's) train.py for this model.
  expect(parameterCount(generatorShapes(generator(config)))).toBe(675_129_632)
})

describe('presets of generators fit every tokenizer of the paper', () => {
  const paper = ['mactok-b-256-64', 'mactok-b-256-128', 'mactok-bl-512-64', 'mactok-b-512-128'] as const
  const sizes = ['sit-s', 'sit-b', 'sit-l', 'sit-xl', 'lightningdit-xl'] as const
  // On [L, 32] a network differs from SiT-XL/2 and LightningDiT-XL/1 in its first and last layer and its positions alone.
  const without = (name: (typeof sizes)[number]) => {
    const grid = generator({ ...generatorPresets[name], latentShape: [4, 32, 32], patchSize: 2, classes: 1000 })
    const shapes = new Map(generatorShapes(grid))
    for (const key of shapes.keys()) if (/^(x_embedder|final_layer\.linear|pos_embed)/.test(key)) shapes.delete(key)
    return parameterCount(shapes)
  }

  test.each(paper.flatMap((preset) => sizes.map((size) => [preset, size] as const)))('%s with %s', (preset, size) => {
    const { latentTokens, latentChannels } = tokenizer(tokenizerPresets[preset])
    const config = generator({ ...generatorPresets[size], latentShape: [latentTokens, latentChannels], classes: 1000 })
    const { width } = config
    const ends = latentChannels * width + width + (width * latentChannels + latentChannels) + latentTokens * width
    expect([latentTokens, latentChannels]).toEqual([preset.includes('128') ? 128 : 64, 32])
    expect(parameterCount(generatorShapes(config))).toBe(without(size) + ends)
  })
})
