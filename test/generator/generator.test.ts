import { describe, expect, test } from '@jest/globals'
import { Generator } from '../../lib/generator/generator.js'
import { hashModels } from '../../lib/generator/hash-models.js'
import { generatorPresets } from '../../lib/generator/presets.js'
import { LatentStatistics } from '../../lib/latents/index.js'
import type { Tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const place = new Workplace()
const config = { width: 16, depth: 1, heads: 2, latentShape: [32, 16], classes: 3 }

describe('a generator', () => {
  test('saves and loads with the same samples', async () => {
    using generator = await Generator.create(config, { device, seed: 2 })
    await generator.save(place.path('saved'))
    using loaded = await Generator.load(place.path('saved'), { device })
    expect(loaded.config).toEqual(generator.config)
    const options = { count: 2, steps: 3, seed: 5 }
    const [one, other] = [await generator.sample(options), await loaded.sample(options)]
    expect(await other.latents.data()).toEqual(await one.latents.data())
  })

  test('refuses unknown options, suggesting the closest', async () => {
    using generator = await Generator.create(config, { device })
    const wrong = async (options: object) => (await generator.sample(options)).latents
    await expect(wrong({ clases: 1 })).rejects.toThrow('Unknown setting clases; did you mean classes?')
    await expect(wrong({ step: 3 })).rejects.toThrow('did you mean steps?')
    await expect(Generator.load('x', { raww: true } as object)).rejects.toThrow('did you mean raw?')
  })

  test('refuses samples that are not finite', async () => {
    using generator = await Generator.create(config, { device })
    const drawing = generator.sample({ steps: 2, state: 'float64', guidance: 1e39 })
    await expect(drawing).rejects.toMatchObject({ code: 'ERR_DIVERGED', message: expect.stringContaining('of row 0') })
  })

  test("draws class and noise from the sample's number", async () => {
    using generator = await Generator.create(config, { device })
    const all = await generator.sample({ count: 20, steps: 1, seed: 1 })
    const part = await generator.sample({ count: 5, steps: 1, seed: 1, firstIndex: 10 })
    expect([...part.labels]).toEqual([...all.labels.slice(10, 15)])
    expect(new Set(all.labels).size).toBe(3)
    expect([...(await generator.sample({ count: 4, classes: [2, 0], steps: 1, firstIndex: 1 })).labels]).toEqual([
      0, 2, 0, 2
    ])
  })

  test('yields steps with previews, and aborts on the signal', async () => {
    using generator = await Generator.create(config, { device })
    const times: number[] = []
    for await (const { time, step, steps, preview } of generator.steps({ steps: 4, sampler: 'euler' })) {
      using latents = await preview()
      expect(latents.shape).toEqual([1, 32, 16])
      times.push(time)
      expect([step, steps]).toEqual([times.length, 4])
      if (step === 3) break
    }
    expect(times).toEqual([0.25, 0.5, 0.75])
    const stop = new AbortController()
    const aborted = generator.sample({
      steps: 9,
      signal: stop.signal,
      onStep: ({ step }) => step === 2 && stop.abort()
    })
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  })

  test('gives the same samples awaited, or looped over and then awaited', async () => {
    using generator = await Generator.create(config, { device, seed: 1 })
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    const options = { count: 2, steps: 3, seed: 9, tokenizer }
    const seen: number[] = []
    const expected = await generator.sample({ ...options, onStep: ({ step }) => seen.push(step) })
    expect(seen).toEqual([1, 2, 3])
    const sampling = generator.sample(options)
    const shapes: unknown[] = []
    for await (const { preview, previewImages } of sampling) {
      using latents = await preview()
      using images = await previewImages()
      shapes.push([latents.shape, images?.shape])
    }
    expect(shapes).toEqual(
      Array(3).fill([
        [2, 32, 16],
        [2, 3, 32, 32]
      ])
    )
    const { latents, images, labels } = await sampling
    expect(await latents.data()).toEqual(await expected.latents.data())
    expect(await images?.data()).toEqual(await expected.images?.data())
    expect(labels).toEqual(expected.labels)
    expect(await sampling.then(({ latents }) => latents)).toBe(latents)
    await expect(sampling[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })

  test('rejects when its loop was left early', async () => {
    using generator = await Generator.create(config, { device })
    const sampling = generator.sample({ steps: 5 })
    for await (const { step } of sampling) if (step === 2) break
    await expect(sampling).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    const wrong = generator.sample({ steps: 0 })
    await expect(wrong.catch((error) => (error as Error).message)).resolves.toMatch(/a positive integer for steps/)
    let last = false
    await expect(
      generator.sample({ classes: 7 }).finally(() => {
        last = true
      })
    ).rejects.toThrow(/labels from 0 to 2/)
    expect(last).toBe(true)
  })

  test('decodes only with its own tokenizer, unless forced', async () => {
    using generator = await Generator.create(config, { device })
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    const { images } = await generator.sample({ count: 2, steps: 1, tokenizer })
    expect(images?.shape).toEqual([2, 3, 32, 32])
    const other = { ...generator.identity, tokenizer: 'another' }
    using stranger = Generator.wrap(generator.native, other, 'fp32')
    await expect(stranger.sample({ steps: 1, tokenizer })).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    expect((await stranger.sample({ steps: 1, tokenizer, force: true })).images?.shape).toEqual([1, 3, 32, 32])
    using small = await Tokenizer.create(
      {
        imageSize: 32,
        patchSize: 8,
        latentTokens: 4,
        encoder: { width: 24, depth: 1, heads: 2 },
        decoder: { width: 24, depth: 1, heads: 2 }
      },
      { device }
    )
    await expect(generator.sample({ steps: 1, tokenizer: small })).rejects.toThrow(
      /makes latents \[32,16\], but the tokenizer decodes \[4,32\]/
    )
  })

  test('frees samples that cannot be decoded', async () => {
    using generator = await Generator.create(config, { device })
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    let drawn: Tensor | undefined
    tokenizer.decode = async (latents) => {
      drawn = latents
      throw new Error('no memory')
    }
    await expect(generator.sample({ steps: 1, tokenizer })).rejects.toThrow('no memory')
    await expect((async () => drawn?.toFloat32())()).rejects.toThrow('disposed')
  })

  test.each<[string, object, string]>([
    ['another shape', { latentShape: [4, 4] }, "latents of [32,16] for weak but received '[4,4]'"],
    ['other classes', { classes: 4 }, "classes 3 for weak but received '4'"],
    ['another direction of time', { flow: { time: 'data_at_0' } }, 'flow {"path":"linear","prediction":"velocity"']
  ])('is not guided by one of %s', async (_, other, message) => {
    using generator = await Generator.create(config, { device })
    using weak = await Generator.create({ ...config, ...other }, { device })
    await expect(generator.sample({ guidance: 2, weak })).rejects.toThrow(`Expected a generator with ${message}`)
  })

  test('is not guided by one of latents that were normalised otherwise', async () => {
    using generator = await Generator.create(config, { device })
    const statistics = new LatentStatistics([1], [2], [32, 16])
    const weak = Generator.wrap(generator.native, { ...generator.identity, statistics }, 'fp32')
    await expect(generator.sample({ guidance: 2, weak })).rejects.toThrow('a generator with statistics of latents null')
  })

  test('is identified by its contents, wherever it was loaded from', async () => {
    using generator = await Generator.create(config, { device, seed: 2 })
    using other = await Generator.create(config, { device, seed: 3 })
    using tokenizer = await Tokenizer.create('tiny-32', { device })
    await generator.save(place.path('identified'))
    using loaded = await Generator.load(place.path('identified'), { device })
    await other.save(place.path('identified'))
    const own = await hashModels({ generator, tokenizer })
    expect(await hashModels({ generator: loaded, tokenizer })).toBe(own)
    expect(await hashModels({ generator: other, tokenizer })).not.toBe(own)
    expect(await hashModels({ generator, tokenizer, weak: other })).not.toBe(own)
  })

  test('rejects wrong options by name', async () => {
    using generator = await Generator.create(config, { device })
    await expect(generator.sample({ classes: 3 })).rejects.toThrow(/labels from 0 to 2 for classes but received 3/)
    await expect(generator.sample({ classes: 'cat' })).rejects.toThrow(/no class names/)
    await expect(generator.sample({ sampler: 'heum' as never })).rejects.toThrow(/sampler/)
    await expect(generator.sample({ guidance: { low: 0.9, high: 0.1 } })).rejects.toThrow(/guidance.low/)
    await expect(generator.sample({ count: 0 })).rejects.toThrow(/positive integer for count/)
    await expect(Generator.load(place.path('nothing'))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })
})

// Counted in the originals on PyTorch's meta device: willisma/SiT's SiT-XL/2, continuous_tokenizer's SiT-XL/1 on 64 tokens of 32
// channels, hustvl/LightningDiT's LightningDiT-XL/1 on 32×16×16 with RMSNorm, SwiGLU and RoPE.
test.each([
  ['sit-xl', { latentShape: [4, 32, 32], patchSize: 2, learnSigma: true }, 675_129_632],
  ['sit-xl', { latentShape: [64, 32] }, 674_926_880],
  ['lightningdit-xl', { latentShape: [32, 16, 16] }, 675_256_736]
] as const)('%s has as many parameters as the original (%j)', async (preset, changes, expected) => {
  // Every block has as many: two small networks tell the number of the large one.
  const count = async (depth: number) => {
    const shape = { ...changes, latentShape: [...changes.latentShape], classes: 1000 }
    using generator = await Generator.create({ ...generatorPresets[preset], ...shape, depth }, { device })
    return generator.parameters
  }
  const [one, two] = [await count(1), await count(2)]
  expect(one + (generatorPresets[preset].depth - 1) * (two - one)).toBe(expected)
})
