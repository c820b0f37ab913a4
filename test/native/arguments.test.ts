import { beforeAll, describe, expect, test } from '@jest/globals'
import type { Addon } from '../../lib/native/addon.js'
import { GOLDEN } from '../support/golden.js'
import { device, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'
import { goldenTeacher } from '../support/training.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

const wrong: Anything[] = [
  undefined,
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 60,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'cpu',
  'nonsense',
  Symbol('s'),
  10n,
  {},
  [],
  [null],
  [-1],
  [2 ** 40, 2 ** 40],
  () => 1,
  new Float32Array(3),
  new Uint8Array(0)
]

/** Calls with every wrong value at every place; each must throw, reject or return: the process lives. */
async function attack(name: string, call: (...values: Anything[]) => Anything, valid: Anything[]) {
  for (let place = 0; place < Math.max(1, valid.length); place++) {
    for (const value of wrong) {
      const values = valid.map((good, i) => (i === place ? value : good))
      try {
        await call(...values)
      } catch (error) {
        expect([name, error]).toEqual([name, expect.any(Error)])
        expect([name, (error as Error).message]).toEqual([name, expect.stringMatching(/./)])
      }
    }
  }
  for (let length = 0; length < valid.length; length++) {
    const values = valid.slice(0, length)
    try {
      await call(...values)
    } catch (error) {
      expect([name, error]).toEqual([name, expect.any(Error)])
    }
  }
}

/** Every field of a configuration replaced by every wrong value. */
async function attackFields(name: string, config: Anything, call: (config: Anything) => Anything) {
  for (const [key, good] of Object.entries(config)) {
    if (good && typeof good === 'object' && !Array.isArray(good)) {
      await attackFields(`${name}.${key}`, good, (inner) => call({ ...config, [key]: inner }))
    }
    await attack(`${name}.${key}`, (value) => call({ ...config, [key]: value }), [good])
  }
}

describe('wrong arguments of the native layer throw and never crash', () => {
  let addon: Addon
  const small = () => randomImages(0, 2, 16)

  beforeAll(() => {
    addon = native()
  })

  test('functions', async () => {
    const call = (name: keyof Addon) => (addon[name] as Anything).bind(addon)
    const matrix = addon.tensor(new Float32Array(16), 'float32', [1, 4, 4], device)
    await attack('tensor', call('tensor'), [new Float32Array(2), 'float32', [2], device])
    await attack('compute', call('compute'), [
      [matrix, matrix],
      [{ operation: 'cat', inputs: [0, 1], options: [0] }],
      device
    ])
    await attackFields('step', { operation: 'select', inputs: [0], options: [0, 1] }, (step) =>
      addon.compute([matrix], [step], device)
    )
    await attack('peek', call('peek'), [matrix, 3])
    await attack('mapFile', call('mapFile'), ['/nonexistent'])
    await attack('resamplePositions', call('resamplePositions'), [matrix, 0, [2, 2], [3, 3]])
    await attack('resamplePatchKernel', call('resamplePatchKernel'), [
      addon.tensor(new Float32Array(48), 'float32', [1, 3, 4, 4], device),
      2
    ])
    await attack('imageMask', call('imageMask'), [trainerConfig().masking, null, 0, 0, 0, 2, 4])
    // Sizes of draws are bounded by memory alone, so only their types are attacked.
    for (const draw of ['uniform', 'normal'] as const)
      await attack(draw, (seed, stream, step, first) => addon[draw](seed, stream, step, first, 1, 2), [0, 's', 0, 0])
    expect(() => (addon.uniform as Anything)(0, 's', 0, 0, -1, 2)).toThrow(TypeError)
    expect(() => (addon.uniform as Anything)(0, 's', 0, 0, 2 ** 40, 2 ** 40)).toThrow()
    await attack('memory', call('memory'), [1])
    await attack('info', call('info'), [1])
  })

  test('tensors', async () => {
    const matrix = addon.tensor(new Float32Array(16), 'float32', [4, 4], device)
    const call =
      (name: string) =>
      (...values: Anything[]) =>
        (matrix as Anything)[name](...values)
    await attack('to', call('to'), [device, 'float32'])
    await attack('slice', call('slice'), [0, 2])
    await attack('reshape', call('reshape'), [[2, 8]])
    await attack('read', call('read'), [1])
    expect(() => (matrix as Anything).read.call({})).toThrow()
    expect(() => new (matrix.constructor as Anything)()).toThrow(TypeError)
    expect(() => new (matrix.constructor as Anything)({})).toThrow(TypeError)
  })

  test('mapped files', async () => {
    const path = `${GOLDEN}philox.safetensors`
    const file = addon.mapFile(path) as Anything
    await attack('tensor', (...values) => file.tensor(...values), [0, 'float32', [2, 2]])
    await attack('gather', (...values) => file.gather(...values), [[0], [0], 4, new Uint8Array(4)])
    await attack('readTorchArchive', (...values) => addon.readTorchArchive(...(values as [never, never])), [path, 1000])
    // Their product wraps around to sizes that fit.
    for (const shape of [
      [2 ** 53 - 1, 2 ** 53 - 1, 0],
      [2 ** 32, 2 ** 32],
      [2 ** 31, 2 ** 31, 2 ** 31]
    ]) {
      expect(() => file.tensor(0, 'float32', shape)).toThrow(/overflow/)
    }
    // An element that closes the file while the shape is read.
    const closing = [1]
    Object.defineProperty(closing, 0, { get: () => file.close() ?? 1 })
    expect(() => file.tensor(0, 'float32', closing)).toThrow('This file is closed')
  })

  test('images', async () => {
    const target = {
      filter: 'box',
      width: 2,
      height: 2,
      left: 0,
      top: 0,
      windowWidth: 2,
      windowHeight: 2,
      mirror: false
    }
    const resample = (...values: Anything[]) => addon.resample(...(values as Parameters<Addon['resample']>))
    const valid = () => [new Uint8Array(48), 4, 4, target, new Uint8Array(12)]
    await attack('resample', resample, valid())
    await attackFields('target', target, (changed) => resample(...valid().with(3, changed)))
    const detached = new Uint8Array(48)
    const detaching = { ...target }
    Object.defineProperty(detaching, 'filter', {
      get: () => {
        structuredClone(detached, { transfer: [detached.buffer] })
        return 'box'
      }
    })
    await expect((async () => resample(detached, 4, 4, detaching, new Uint8Array(12)))()).rejects.toThrow('source')
  })

  test('methods called on objects of another kind', async () => {
    const matrix = addon.tensor(new Float32Array(16), 'float32', [4, 4], device) as Anything
    const model = (await addon.createTokenizer(tokenizerConfig(), device, 0)) as Anything
    expect(() => model.state.call(matrix)).toThrow()
    expect(() => matrix.read.call(model)).toThrow()
    expect(() =>
      Object.getPrototypeOf(model).decode.call(Object.create(Object.getPrototypeOf(model)), matrix, 'fp32')
    ).toThrow()
  })

  test('tokenizers', async () => {
    const model = (await addon.createTokenizer(tokenizerConfig(), device, 0)) as Anything
    const options = { precision: 'fp32', sample: true, seed: 0, indices: [0, 1] }
    const latents = addon.tensor(new Float32Array(24), 'float32', [2, 4, 3], device)
    await attack('encode', (...values) => model.encode(...values), [small(), null, options])
    await attackFields('encode.options', options, (changed) => model.encode(small(), null, changed))
    await attack('posterior', (...values) => model.posterior(...values), [small(), 'fp32'])
    await attack('decode', (...values) => model.decode(...values), [latents, 'fp32'])
    await attack('load', (...values) => model.load(...values), [model.state()])
    await expect((async () => model.load({ ...model.state(), extra: latents }))()).rejects.toThrow('extra')
    const { 'to_pixels.bias': _, ...rest } = model.state()
    await expect((async () => model.load(rest))()).rejects.toThrow('to_pixels.bias')
  })

  test('configurations', async () => {
    // Sizes that are merely too large are not tried: they are valid requests for memory.
    await attack('createTokenizer', (...values) => addon.createTokenizer(...(values as [never, never, never])), [
      tokenizerConfig(),
      device,
      0
    ])
    await attackFields('config', tokenizerConfig(), (config) => addon.createTokenizer(config, device, 0))
    const teacher = { vit: vit(), patchSize: 4, inputSize: 16 }
    await attack('createTeacher', (...values) => addon.createTeacher(...(values as [never, never])), [teacher, device])
    await attackFields('teacher', teacher, (config) => addon.createTeacher(config, device))
  })

  test('trainers', async () => {
    const model = await addon.createTokenizer(tokenizerConfig(), device, 0)
    const teacher = await goldenTeacher()
    const create = (...values: Anything[]) => addon.createTokenizerTrainer(...(values as [never, never, never]))
    await attack('createTokenizerTrainer', create, [model, teacher, trainerConfig()])
    await attackFields('config', trainerConfig(), (config) => create(model, teacher, config))
    await expect((async () => create(model, null, trainerConfig()))()).rejects.toThrow(/teacher/)

    const trainer = (await create(model, teacher, trainerConfig())) as Anything
    const options = { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 0, alignment: 0.1 } }
    await attack('step', (...values) => trainer.step(...values), [[small()], options])
    await attackFields('step', options, (changed) => trainer.step([small()], changed))
    await attack('gradients', (...values) => trainer.gradients(...values), [[small()], options])
    await attack('trainer.load', (...values) => trainer.load(...values), [trainer.state()])
  })

  test('disposed handles', async () => {
    const model = (await addon.createTokenizer(tokenizerConfig(), device, 0)) as Anything
    const images = small()
    images.dispose()
    const options = { precision: 'fp32', sample: false, seed: 0, indices: [] }
    await expect((async () => model.encode(images, null, options))()).rejects.toThrow('disposed')
    model.dispose()
    await expect((async () => addon.createTokenizerTrainer(model, null, trainerConfig()))()).rejects.toThrow('disposed')
    for (const name of ['device', 'state', 'encode', 'decode', 'posterior', 'load']) {
      await expect(
        (async () => (typeof model[name] === 'function' ? model[name](small(), null, options) : model[name]))()
      ).rejects.toThrow('disposed')
    }
  })
})
