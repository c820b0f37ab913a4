import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from '@jest/globals'
import {
  continuousTokenizerName,
  isContinuousTokenizer,
  mapContinuousTokenizer
} from '../../lib/interchange/continuous-tokenizer.js'
import { readSafetensors, type SafetensorsFile } from '../../lib/weights/reader.js'
import { fileWeights, type Weights } from '../../lib/weights/tensors.js'

const golden = fileURLToPath(new URL('../golden', import.meta.url))

const opened: SafetensorsFile[] = []
afterEach(async () => {
  for (const file of opened.splice(0)) await file.close()
})

/** The weights of a golden file, without the `w.` by which it tells them from inputs and outputs. */
async function weightsOf(name: string): Promise<Weights> {
  const file = await readSafetensors(path.join(golden, `${name}.safetensors`))
  opened.push(file)
  const own = [...fileWeights(file)].filter(([key]) => key.startsWith('w.'))
  return new Map(own.map(([key, tensor]) => [key.slice(2), tensor]))
}

const block = [
  'norm1.weight',
  'norm1.bias',
  'attn.qkv.weight',
  'attn.qkv.bias',
  'attn.proj.weight',
  'attn.proj.bias',
  'ls1.gamma',
  'norm2.weight',
  'norm2.bias',
  'mlp.fc1.weight',
  'mlp.fc1.bias',
  'mlp.fc2.weight',
  'mlp.fc2.bias',
  'ls2.gamma'
]
const vit = [
  'latent_pos_embed',
  'norm.weight',
  'norm.bias',
  ...[0, 1].flatMap((index) => block.map((name) => `blocks.${index}.${name}`))
]
const under = (part: string, names: string[]) => names.map((name) => `${part}.${name}`)
const linear = (...names: string[]) => names.flatMap((name) => [`${name}.weight`, `${name}.bias`])
const encoder = under('encoder', [
  'cls_token',
  'pos_embed',
  'latent_tokens',
  'mask_token',
  ...linear('patch_embed.proj'),
  ...vit
])
const heads = linear('to_posterior', 'from_latents', 'to_pixels')

describe('tokenizers of continuous_tokenizer', () => {
  test('its KL model, with cls in the decoder', async () => {
    const source = await weightsOf('tokenizer_kl')
    expect(isContinuousTokenizer(source.keys())).toBe(true)
    const { weights, config, ignored } = mapContinuousTokenizer(source, { heads: { encoder: 2, decoder: 2 } })
    const decoder = under('decoder', ['cls_token', 'pos_embed', 'reconstruction_token', ...vit])
    expect([...weights.keys()].sort()).toEqual([...encoder, ...decoder, ...heads].sort())
    expect(ignored.sort()).toEqual(linear('decoder.model.patch_embed.proj').sort())
    const shape = { width: 32, depth: 2, heads: 2, mlpRatio: 4, layerScale: 1e-5, cls: true, positions: 'learned' }
    // As the file's metadata tell.
    expect(config).toEqual({
      imageSize: 32,
      patchSize: 4,
      latentTokens: 16,
      latentChannels: 8,
      bottleneck: 'kl',
      encoder: shape,
      decoder: shape
    })
  })

  test('MAETok with RoPE: positions stay only in the encoder, index buffers are dropped', async () => {
    const { weights, config, ignored } = mapContinuousTokenizer(await weightsOf('tokenizer_maetok'), {
      heads: { encoder: 2, decoder: 2 }
    })
    const decoder = under('decoder', ['reconstruction_token', 'rope_freqs', ...vit])
    expect([...weights.keys()].sort()).toEqual([...encoder, 'encoder.rope_freqs', ...decoder, ...heads].sort())
    expect(weights.get('encoder.rope_freqs')?.shape).toEqual([2, 2, 16])
    expect(ignored).toContain('encoder.freqs_t_x')
    expect(config).toMatchObject({
      bottleneck: 'ae',
      latentTokens: 8,
      encoder: { cls: true, positions: 'rope' },
      decoder: { cls: false, positions: 'rope' }
    })
  })

  test('an encoder trained without masks gets a mask token of zeros', async () => {
    const { weights } = mapContinuousTokenizer(await weightsOf('tokenizer_kl'), { heads: { encoder: 2, decoder: 2 } })
    const token = weights.get('encoder.mask_token')
    expect(token?.shape).toEqual([1, 1, 32])
    expect(await token?.bytes()).toEqual(new Uint8Array(128))
  })

  test('values are those of the file', async () => {
    const source = await weightsOf('tokenizer_kl')
    const { weights } = mapContinuousTokenizer(source, { heads: { encoder: 2, decoder: 2 } })
    for (const [ours, theirs] of [
      ['to_posterior.weight', 'quant_conv.weight'],
      ['decoder.reconstruction_token', 'decoder.mask_token'],
      ['to_pixels.bias', 'decoder.to_pixel.model.bias']
    ] as const) {
      expect(await weights.get(ours)?.bytes()).toEqual(await source.get(theirs)?.bytes())
    }
  })

  test('parts that only its training uses are dropped', () => {
    expect(continuousTokenizerName('repa_model.blocks.0.attn.qkv.weight')).toBeUndefined()
    expect(continuousTokenizerName('projection.0.weight')).toBeUndefined()
    expect(continuousTokenizerName('quantize.codebook_used')).toBeUndefined()
    expect(continuousTokenizerName('quantize.embedding')).toBe('quantize.embedding')
  })

  test('what is missing is named', () => {
    expect(() => mapContinuousTokenizer(new Map())).toThrow('The tokenizer checkpoint lacks "encoder.pos_embed"')
  })
})
