import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { memory, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { relativeError } from '../support/golden.js'
import { device } from '../support/native.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

const tiny = {
  imageSize: 16,
  patchSize: 4,
  latentTokens: 4,
  latentChannels: 3,
  encoder: { width: 8, depth: 2, heads: 2, layerScale: 1 },
  decoder: { width: 8, depth: 1, heads: 2, layerScale: 1 }
}
const folder = mkdtempSync(join(tmpdir(), 'mactok-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a tokenizer', () => {
  let tokenizer: Tokenizer
  let images: Tensor<'uint8'>

  beforeAll(async () => {
    tokenizer = await Tokenizer.create(tiny, { device, seed: 7 })
    images = tensor(
      Uint8Array.from({ length: 2 * 16 * 16 * 3 }, (_, i) => (i * 37) % 256),
      [2, 16, 16, 3],
      { device }
    )
  })

  test('encodes images to [B, L, Z] and decodes them to [B, 3, H, W]', async () => {
    using latents = await tokenizer.encode(images)
    expect(latents.shape).toEqual([2, 4, 3])
    using decoded = await tokenizer.decode(latents)
    expect(decoded.shape).toEqual([2, 3, 16, 16])
    expect((await decoded.data()).every(Number.isFinite)).toBe(true)
  })

  test('refuses unknown options, suggesting the closest', async () => {
    const misspelt: Anything = { smaple: true }
    using latents = await tokenizer.encode(images)
    await expect(tokenizer.encode(images, misspelt)).rejects.toThrow('Unknown setting smaple; did you mean sample?')
    await expect(tokenizer.posterior(images, misspelt)).rejects.toThrow('Unknown setting smaple')
    await expect(tokenizer.decode(latents, { precison: 'bf16' } as Anything)).rejects.toThrow('did you mean precision?')
    await expect(Tokenizer.create(tiny, { sed: 1 } as Anything)).rejects.toThrow('did you mean seed?')
    await expect(Tokenizer.load(folder, { devise: 'cpu' } as Anything)).rejects.toThrow('did you mean device?')
    await expect(tokenizer.encode(images, null as Anything)).rejects.toThrow('Expected an object for options')
  })

  test('refuses results that are not finite, by the row of the input', async () => {
    const planes = new Float32Array(2 * 3 * 16 * 16)
    planes[800] = Number.NaN
    using wrong = tensor(planes, [2, 3, 16, 16], { device })
    for (const result of [tokenizer.encode(wrong), tokenizer.posterior(wrong)]) {
      await expect(result).rejects.toMatchObject({
        code: 'ERR_DIVERGED',
        message: expect.stringMatching(/of row 1 are not finite/)
      })
    }
    using latents = tensor(
      Float32Array.from({ length: 24 }, (_, i) => 1 / (i - 3)),
      [2, 4, 3],
      { device }
    )
    await expect(tokenizer.decode(latents)).rejects.toThrow('The images of row 0 are not finite')
  })

  test('frees results that are not finite', async () => {
    using wrong = tensor(new Float32Array(3 * 16 * 16).fill(Number.NaN), [1, 3, 16, 16], { device })
    const before = memory().tensors
    for (const compute of [() => tokenizer.encode(wrong), () => tokenizer.posterior(wrong)]) {
      await expect(compute()).rejects.toMatchObject({ code: 'ERR_DIVERGED' })
      // The garbage collector may free tensors of earlier tests meanwhile.
      expect(memory().tensors).toBeLessThanOrEqual(before)
    }
  })

  test('accepts uint8 and float images alike', async () => {
    const bytes = await images.data()
    const planes = Float32Array.from(bytes, (_, i) => {
      const [image, rest] = [Math.floor(i / 768), i % 768]
      return (bytes[image * 768 + (rest % 256) * 3 + Math.floor(rest / 256)] as number) / 127.5 - 1
    })
    const expected = await (await tokenizer.encode(images)).data()
    const actual = await (await tokenizer.encode(tensor(planes, [2, 3, 16, 16], { device }))).data()
    expect(relativeError(actual, expected)).toBeLessThan(1e-5)
  })

  test('samples by (seed, sample index), so that parts of a batch equal the whole', async () => {
    const whole = await (await tokenizer.encode(images, { sample: true, seed: 3, firstIndex: 10 })).data()
    const second = await (await tokenizer.encode(images.slice(1, 2), { sample: true, seed: 3, firstIndex: 11 })).data()
    expect(relativeError(second, whole.slice(12))).toBeLessThan(1e-5)
    expect(await (await tokenizer.encode(images, { sample: true, seed: 4, firstIndex: 10 })).data()).not.toEqual(whole)
    expect(await (await tokenizer.encode(images)).data()).not.toEqual(whole)
  })

  test('takes the sample index of each row', async () => {
    const draw = async (options: object) =>
      (await tokenizer.encode(images, { sample: true, seed: 3, ...options })).data()
    const consecutive = await draw({ firstIndex: 10 })
    expect(await draw({ indices: [10, 11] })).toEqual(consecutive)
    const apart = await draw({ indices: [10, 12] })
    expect(apart.slice(0, 12)).toEqual(consecutive.slice(0, 12))
    expect(apart.slice(12)).not.toEqual(consecutive.slice(12))
  })

  test('has weights that depend only on the seed', async () => {
    const latents = async (seed: number) =>
      (await (await Tokenizer.create(tiny, { device, seed })).encode(images)).data()
    expect(await latents(7)).toEqual(await (await tokenizer.encode(images)).data())
    expect(await latents(8)).not.toEqual(await latents(7))
  })

  test('loads as it was saved', async () => {
    await tokenizer.save(folder)
    const loaded = await Tokenizer.load(folder, { device })
    expect(loaded.config).toEqual(tokenizer.config)
    expect(await (await loaded.encode(images)).data()).toEqual(await (await tokenizer.encode(images)).data())
    expect(await loaded.identity()).toBe(await tokenizer.identity())
  })

  test('counts its parameters', async () => {
    // Two blocks and one of width 8: 12·64 + 13·8 + 2·8 (LayerScale) weights each; the rest by hand.
    const block = 12 * 64 + 13 * 8 + 2 * 8
    const encoder = 8 * 48 + 8 + 8 + 17 * 8 + 8 + 4 * 8 * 2 + 2 * block + 16
    const decoder = 8 + 16 * 8 + 4 * 8 + block + 16
    expect(tokenizer.parameters).toBe(encoder + decoder + (8 * 6 + 6) + (3 * 8 + 8) + (8 * 48 + 48))
  })

  test.each<[string, (t: Anything) => Promise<unknown>, typeof Error, RegExp]>([
    [
      'images that are not a tensor',
      (t) => t.encode(new Uint8Array(768)),
      TypeError,
      /^Expected a uint8 tensor \[B, H, W, 3\].* for images but received/
    ],
    [
      'images of another dtype',
      (t) => t.encode(tensor(new Int32Array(768), [1, 16, 16, 3])),
      TypeError,
      /images but received 'int32 \[1,16,16,3\]'/
    ],
    [
      'images of another size',
      (t) => t.encode(tensor(new Uint8Array(3 * 64), [1, 8, 8, 3])),
      RangeError,
      /images of 16 × 16 pixels for images but received '8 × 8'/
    ],
    ['an empty batch', (t) => t.encode(tensor(new Uint8Array(0), [0, 16, 16, 3])), TypeError, /images/],
    [
      'a seed below 0',
      (t) => t.encode(images, { seed: -1 }),
      RangeError,
      /a non-negative integer for seed but received -1/
    ],
    ['a fractional index', (t) => t.encode(images, { firstIndex: 0.5 }), RangeError, /firstIndex/],
    ['too few indices', (t) => t.encode(images, { indices: [1] }), RangeError, /2 of them, one per image for indices/],
    ['a negative index', (t) => t.encode(images, { indices: [1, -1] }), RangeError, /non-negative integer for indices/],
    [
      'an unknown precision',
      (t) => t.encode(images, { precision: 'fp8' }),
      RangeError,
      /fp32, tf32 or bf16 for precision but received 'fp8'/
    ],
    [
      'a mask of another shape',
      (t) => t.encode(images, { mask: tensor(new Uint8Array(16), [1, 16]) }),
      RangeError,
      /\[2, 16\] for mask/
    ],
    ['a mask that is not a tensor', (t) => t.encode(images, { mask: [true] }), TypeError, /mask/],
    ['the precision of a posterior', (t) => t.posterior(images, { precision: 1 }), RangeError, /precision/],
    ['latents that are not a tensor', (t) => t.decode([1, 2]), TypeError, /\[B, 4, 3\] for latents/],
    [
      'latents of another shape',
      (t) => t.decode(tensor(new Float32Array(24), [2, 12])),
      RangeError,
      /shape \[B, 4, 3\] for latents but received '\[2,12\]'/
    ],
    ['a folder that is not a path', (t) => t.save(3), TypeError, /a path for folder but received 3/]
  ])('refuses %s', async (_, call, type, message) => {
    const error = await call(tokenizer).catch((thrown: Error) => thrown)
    expect(error).toBeInstanceOf(type)
    expect((error as Error).message).toMatch(message)
  })

  test('is unusable after dispose(), which may be called twice', async () => {
    const other = await Tokenizer.create(tiny, { device })
    other.dispose()
    other.dispose()
    await expect(other.encode(images)).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    expect(() => other.device).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }))
  })
})

describe('creating and loading', () => {
  test.each<[string, () => Promise<unknown>, typeof Error, RegExp]>([
    [
      'an unknown preset',
      () => Tokenizer.create('mactok-b-256-12' as Anything),
      RangeError,
      /did you mean mactok-b-256-128\?/
    ],
    [
      'an unknown setting',
      () => Tokenizer.create({ ...tiny, latentToken: 3 } as Anything),
      TypeError,
      /Unknown setting tokenizer\.latentToken; did you mean latentTokens\?/
    ],
    [
      'a wrong type',
      () => Tokenizer.create({ ...tiny, patchSize: '4' } as Anything),
      TypeError,
      /a positive integer for tokenizer\.patchSize but received '4'/
    ],
    [
      'a value out of range',
      () => Tokenizer.create({ ...tiny, latentTokens: 0 }),
      RangeError,
      /tokenizer\.latentTokens/
    ],
    [
      'a patch that does not divide',
      () => Tokenizer.create({ ...tiny, patchSize: 5 }),
      RangeError,
      /tokenizer\.patchSize: expected a divisor of imageSize \(16\) but received 5/
    ],
    [
      'heads that do not divide',
      () => Tokenizer.create({ ...tiny, encoder: { ...tiny.encoder, heads: 3 } }),
      RangeError,
      /tokenizer\.encoder\.heads/
    ],
    [
      'rope with odd heads',
      () => Tokenizer.create({ ...tiny, decoder: { ...tiny.decoder, heads: 4, positions: 'rope' } }),
      RangeError,
      /tokenizer\.decoder\.width/
    ],
    ['an empty range', () => Tokenizer.create({ ...tiny, logvarRange: [2, 1] }), RangeError, /tokenizer\.logvarRange/],
    ['a negative seed', () => Tokenizer.create(tiny, { seed: -1 }), RangeError, /a non-negative integer for seed/],
    ['an unknown device', () => Tokenizer.create(tiny, { device: 'gpu' }), TypeError, /device/],
    ['a folder that is not a path', () => Tokenizer.load(5 as Anything), TypeError, /a path for folder/]
  ])('refuses %s', async (_, call, type, message) => {
    const error = await call().catch((thrown: Error) => thrown)
    expect(error).toBeInstanceOf(type)
    expect((error as Error).message).toMatch(message)
  })

  test('a folder without a tokenizer is an ERR_FORMAT that names it', async () => {
    const empty = mkdtempSync(join(folder, 'empty-'))
    await expect(Tokenizer.load(empty)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining(empty)
    })
    writeFileSync(join(empty, 'config.json'), '{ not json')
    await expect(Tokenizer.load(empty)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })
})
