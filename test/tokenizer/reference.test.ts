import { beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeState, NativeTokenizer } from '../../lib/native/addon.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor, tensors, tokenizerConfig, trainerConfig, vit } from '../support/native.js'

// The code that the paper builds on, continuous_tokenizer: its weights, inputs and outputs at tiny size.
const RENAMED: [RegExp, string][] = [
  [/^(encoder|decoder)\.model\./, '$1.'],
  [/^decoder\.mask_token/, 'decoder.reconstruction_token'],
  [/^quant_conv/, 'to_posterior'],
  [/^post_quant_conv/, 'from_latents'],
  [/^decoder\.to_pixel\.model/, 'to_pixels'],
  [/freqs$/, 'rope_freqs']
]
const UNUSED = /freqs_t_[xy]$|^decoder\.(model\.)?patch_embed/

/** Its weights under our names; those that its forward pass does not use are skipped. */
function weights(golden: Golden, expected: NativeState): NativeState {
  const renamed = Object.entries(golden.under('w.'))
    .filter(([name]) => !UNUSED.test(name))
    .map(([name, value]) => [RENAMED.reduce((text, [from, to]) => text.replace(from, to), name), value] as const)
    .filter(([name]) => name in expected)
  return { 'encoder.mask_token': expected['encoder.mask_token'] as never, ...tensors(Object.fromEntries(renamed)) }
}

const shape = (tokens: number, options: Partial<ReturnType<typeof vit>>, decoderCls: boolean) =>
  tokenizerConfig({
    imageSize: 32,
    latentTokens: tokens,
    latentChannels: 8,
    encoder: vit({ width: 32, ...options }),
    decoder: vit({ width: 32, cls: decoderCls, ...options })
  })

describe('the KL tokenizer agrees with the reference code', () => {
  const golden = new Golden('tokenizer_kl')
  let tokenizer: NativeTokenizer

  beforeAll(async () => {
    tokenizer = await native().createTokenizer(shape(16, {}, true), device, 0)
    const given = weights(golden, tokenizer.state())
    // The decoder's first position belongs to its cls token there and here.
    await tokenizer.load(given)
  })

  test('mean and log-variance', async () => {
    const { mean, logvar } = await tokenizer.posterior(tensor(golden.get('x')), 'fp32')
    expect(relativeError(await floats(mean), golden.floats('mean'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(logvar as never), golden.floats('logvar'))).toBeLessThan(1e-5)
  })

  test('latents are the means', async () => {
    const options = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
    const latents = await tokenizer.encode(tensor(golden.get('x')), null, options)
    expect(relativeError(await floats(latents), golden.floats('latents'))).toBeLessThan(1e-5)
  })

  test('reconstruction', async () => {
    const images = await tokenizer.decode(tensor(golden.get('latents')), 'fp32')
    expect(images.shape).toEqual([2, 3, 32, 32])
    expect(relativeError(await floats(images), golden.floats('reconstruction'))).toBeLessThan(1e-5)
  })

  test('KL divergence', async () => {
    const config = trainerConfig({ masking: { target: 'none' }, alignment: { local: false, global: false } })
    const trainer = await native().createTokenizerTrainer(tokenizer, null, config)
    // A learning rate of 0 leaves the weights as they are.
    await trainer.step([tensor(golden.get('x'))], {
      step: 0,
      lr: 0,
      weights: { reconstruction: 1, kl: 1, alignment: 0 }
    })
    const { kl } = await trainer.metrics()
    const expected = golden.floats('kl')
    expect(relativeError([kl as number], [((expected[0] as number) + (expected[1] as number)) / 2])).toBeLessThan(1e-5)
  })

  test('samples are mean + exp(logvar / 2) · ε, with ε determined by (seed, sample index)', async () => {
    const x = tensor(golden.get('x'))
    const latents = await floats(
      await tokenizer.encode(x, null, { precision: 'fp32', sample: true, seed: 5, indices: [40, 41] })
    )
    const noise = native().normal(5, 'encode', 0, 40, 2, 16 * 8)
    const [mean, logvar] = [golden.floats('mean'), golden.floats('logvar')]
    const expected = mean.map((value, i) => value + Math.exp((logvar[i] as number) / 2) * (noise[i] as number))
    expect(relativeError(latents, expected)).toBeLessThan(1e-5)
  })
})

describe('the MAETok tokenizer with mixed RoPE agrees with the reference code', () => {
  const golden = new Golden('tokenizer_maetok')
  let tokenizer: NativeTokenizer

  beforeAll(async () => {
    const config = { ...shape(8, { positions: 'rope' }, false), bottleneck: 'ae' as const }
    tokenizer = await native().createTokenizer(config, device, 0)
    await tokenizer.load(weights(golden, tokenizer.state()))
  })

  // With these weights a wrong rotation moves the results by 2e-6 only, hence the absolute bound.
  test('latents', async () => {
    const { mean, logvar } = await tokenizer.posterior(tensor(golden.get('x')), 'fp32')
    expect(logvar).toBeNull()
    expect(absoluteError(await floats(mean), golden.floats('latents'))).toBeLessThan(2e-7)
  })

  test('reconstruction', async () => {
    const images = await tokenizer.decode(tensor(golden.get('latents')), 'fp32')
    expect(absoluteError(await floats(images), golden.floats('reconstruction'))).toBeLessThan(2e-7)
  })
})
