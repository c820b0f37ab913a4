import { beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeState } from '../../lib/native/addon.js'
import { Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor, tensors, vit } from '../support/native.js'
import type { TestingDiscriminator } from '../support/testing-addon.js'

// DinoDisc of continuous_tokenizer with random weights; in training mode: fake (generator), real, fake (discriminator).
const golden = new Golden('discriminator')
const noCrop = { coin: 0.9, top: 0, left: 0 }
const backbone = vit({ width: 32, depth: 12, mlp: 'gelu_tanh', layerScale: null })
const config = { vit: backbone, patchSize: 16, inputSize: 224, levels: [2, 5, 8, 11], kernel: 9 }

async function create(changes: Partial<typeof config> = {}): Promise<TestingDiscriminator> {
  const discriminator = await native().createDiscriminator({ ...config, ...changes }, device, 0)
  const ours = ([name]: [string, unknown]) => !/x_scale|x_shift|num_batches_tracked/.test(name)
  await discriminator.load(tensors(Object.fromEntries(Object.entries(golden.under('w.')).filter(ours))))
  return discriminator
}

/** The names whose values differ by more than `tolerance`, relative to the largest expected value. */
async function differences(
  actual: NativeState,
  expected: Record<string, { data: ArrayLike<unknown> }>,
  tolerance: number
) {
  const found: Record<string, number> = {}
  for (const [name, { data }] of Object.entries(expected)) {
    const error = relativeError(await floats(actual[name] as never), data as Float32Array)
    if (!(error < tolerance)) found[name] = error
  }
  return found
}

describe('the discriminator agrees with the reference over three consecutive passes', () => {
  let discriminator: TestingDiscriminator
  let generator: Awaited<ReturnType<TestingDiscriminator['generatorPass']>>
  let judged: NativeState
  beforeAll(async () => {
    discriminator = await create()
    const [real, fake] = [tensor(golden.get('real')), tensor(golden.get('fake'))]
    generator = await discriminator.generatorPass(fake, 'hinge', noCrop)
    judged = await discriminator.discriminatorPass(real, fake, 'hinge', noCrop)
  })

  test("in the generator's logits and gradient", async () => {
    expect(relativeError(await floats(generator.logits), golden.floats('g_logits_fake'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(generator.gradient), golden.floats('g_grad_fake'))).toBeLessThan(1e-4)
  })

  test("in the discriminator's logits and loss", async () => {
    expect(relativeError(await floats(judged.real as never), golden.floats('d_logits_real'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(judged.fake as never), golden.floats('d_logits_fake'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(judged.loss as never), golden.floats('d_hinge'))).toBeLessThan(1e-5)
  })

  test("in every gradient of the heads' parameters", async () => {
    const gradients = Object.fromEntries(
      Object.entries(judged).map(([name, value]) => [name.replace('gradient.', ''), value])
    )
    const expected = Object.entries(golden.under('grad.'))
    // The norm after it takes away what such a bias adds: its gradient is rounding noise around 0.
    const isUseless = ([name]: [string, unknown]) => /\.(0|fn)\.0\.bias$/.test(name)
    for (const [name] of expected.filter(isUseless)) {
      expect(Math.max(...(await floats(gradients[name] as never)).map(Math.abs))).toBeLessThan(1e-6)
    }
    const useful = Object.fromEntries(expected.filter((entry) => !isUseless(entry)))
    expect(await differences(gradients, useful, 1e-4)).toEqual({})
  })

  test('in singular vectors and running statistics', async () => {
    expect(await differences(discriminator.state(), golden.under('after.'), 1e-5)).toEqual({})
  })

  test('and changes no buffer outside training', async () => {
    await discriminator.logits(tensor(golden.get('real')), noCrop, 'fp32')
    expect(await differences(discriminator.state(), golden.under('after.'), 1e-5)).toEqual({})
  })
})

describe('images larger than the input of the backbone', () => {
  // The same images, each pixel four times or beside noise: a crop or an area resize finds the small ones again.
  const side = 224
  const small = () =>
    native()
      .uniform(3, 'test/discriminator', 0, 0, 1, 3 * side * side)
      .map((x) => 2 * x - 1)
  const image = (data: Float32Array, size: number) => native().tensor(data, 'float32', [1, 3, size, size], device)
  const logits = async (data: Float32Array, size: number, crop: typeof noCrop) =>
    floats(await (await create()).logits(image(data, size), crop, 'fp32'))

  test('are averaged over areas for a coin from ½ on', async () => {
    const pixels = small()
    const doubled = new Float32Array(4 * pixels.length)
    for (let i = 0; i < doubled.length; i++) {
      const [channel, y, x] = [
        Math.floor(i / (4 * side * side)),
        Math.floor(i / (2 * side)) % (2 * side),
        i % (2 * side)
      ]
      doubled[i] = pixels[channel * side * side + (y >> 1) * side + (x >> 1)] as number
    }
    const expected = await logits(pixels, side, noCrop)
    expect(relativeError(await logits(doubled, 2 * side, { coin: 0.5, top: 0.3, left: 0.7 }), expected)).toBeLessThan(
      1e-5
    )
  })

  test('are cropped at the drawn position for a coin below ½', async () => {
    const pixels = small()
    const [size, top, left] = [side + 9, 3, 8] // 10 positions each way
    const framed = new Float32Array(3 * size * size)
    for (let i = 0; i < pixels.length; i++) {
      const [channel, y, x] = [Math.floor(i / (side * side)), Math.floor(i / side) % side, i % side]
      framed[channel * size * size + (y + top) * size + x + left] = pixels[i] as number
    }
    const expected = await logits(pixels, side, noCrop)
    expect(relativeError(await logits(framed, size, { coin: 0.4, top: 0.35, left: 0.85 }), expected)).toBeLessThan(1e-5)
  })
})

test('a new discriminator has unit singular vectors and neutral norms, and depends on the seed', async () => {
  const make = async (seed: number) => {
    const {
      'heads.0.1.fn.0.weight_u': u,
      'heads.0.1.fn.1.weight': norm,
      'heads.2.2.bias': bias
    } = (await native().createDiscriminator(config, device, seed)).state()
    return [await floats(u as never), await floats(norm as never), await floats(bias as never)] as const
  }
  const [u, norm, bias] = await make(1)
  expect(Math.hypot(...u)).toBeCloseTo(1, 6)
  expect(norm.every((value) => value === 1)).toBe(true)
  expect((await make(1))[2]).toEqual(bias)
  expect((await make(2))[2]).not.toEqual(bias)
})
