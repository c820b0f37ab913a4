import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { Generator } from '../../lib/generator/generator.js'
import { type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { readSafetensors, type TensorData, writeSafetensors } from '../../lib/weights/index.js'
import { relativeError } from '../support/golden.js'
import { Workplace } from '../support/images.js'
import { generators, images, network, normals, randomiseWeights, tokenizers } from '../support/models.js'
import { device, floats, native } from '../support/native.js'
import { describeWhere } from '../support/paths.js'
import { hasModules, python, runPython } from '../support/python.js'
import type { TestingGenerator } from '../support/testing-addon.js'

const script = fileURLToPath(new URL('outputs.py', import.meta.url))
const precisions = ['fp32', 'bf16'] as const

/** Largest differences as parts of the largest value: the order of sums differs, and in bf16 what is rounded, too. */
const tolerances = { fp32: 1e-5, bf16: 2e-2 }

const float32 = (name: string, shape: number[]): TensorData => ({
  name,
  shape,
  dtype: 'float32',
  data: normals(`inputs/${name}`, shape)
})

describeWhere(
  hasModules('torch', 'safetensors'),
  `${python} has no torch and safetensors; MACTOK_PYTHON names an interpreter`,
  'python/mactok.py',
  () => {
    const place = new Workplace()
    const outputs = new Map<string, Float32Array>()

    const expectAgreement = (name: string, precision: 'fp32' | 'bf16', key: string, ours: Float32Array) => {
      const error = relativeError(outputs.get(`${name}.${precision}.${key}`) as Float32Array, ours)
      expect(error).toBeLessThan(tolerances[precision])
    }

    beforeAll(async () => {
      for (const [name, config] of Object.entries(tokenizers)) {
        using tokenizer = await Tokenizer.create({ ...images, ...config }, { device })
        await tokenizer.save(place.path(name))
        await randomiseWeights(place.path(name))
        await writeSafetensors(place.path(`${name}.inputs.safetensors`), [
          { name: 'images', shape: [2, 32, 32, 3], dtype: 'uint8', data: pixels },
          { name: 'mask', shape: [2, 16], dtype: 'uint8', data: hidden },
          float32('latents', [2, 8, 6])
        ])
      }
      for (const [name, config] of Object.entries(generators)) {
        using generator = await Generator.create({ ...network, ...config }, { device })
        await generator.save(place.path(name))
        await randomiseWeights(place.path(name))
        const [, channels] = config.latentShape.length === 2 ? config.latentShape : [0, config.latentShape[0]]
        const file = place.path(`${name}/config.json`)
        const std = Array.from({ length: channels as number }, (_, i) => i / 4)
        const statistics = { mean: std.map((value) => value - 1), std, sampleShape: config.latentShape }
        await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), statistics }))
        await writeSafetensors(place.path(`${name}.inputs.safetensors`), [
          float32('x', [3, ...config.latentShape]),
          { name: 'times', shape: [3], dtype: 'float32', data: times },
          { name: 'labels', shape: [3], dtype: 'int64', data: labels }
        ])
      }
      const names = [...Object.keys(tokenizers), ...Object.keys(generators)]
      runPython([script, place.path(''), ...names])
      for (const name of names) {
        await using file = await readSafetensors(place.path(`${name}.outputs.safetensors`))
        for (const key of file.names()) outputs.set(`${name}.${key}`, await file.float32(key))
      }
    })

    const pixels = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (i * 37 + (i >> 6) * 11) % 256)
    const hidden = Uint8Array.from({ length: 32 }, (_, i) => (i % 3 === 0 ? 1 : 0))
    const times = Float32Array.of(0.01, 0.5, 0.93)
    const labels = BigInt64Array.of(0n, 4n, 5n)
    const values = async (made: Promise<Tensor<'float32'>>): Promise<Float32Array> => (await made).data()

    describe.each(Object.keys(tokenizers))('agrees with a tokenizer: %s', (name) => {
      test.each(precisions)('in %s', async (precision) => {
        using tokenizer = await Tokenizer.load(place.path(name), { device, precision })
        using given = tensor(pixels, [2, 32, 32, 3], { device })
        using mask = tensor(hidden, [2, 16], { device })
        using latents = tensor(normals('inputs/latents', [2, 8, 6]), [2, 8, 6], { device })
        const { mean, logvar } = await tokenizer.posterior(given)
        expectAgreement(name, precision, 'mean', await mean.data())
        expect(outputs.has(`${name}.${precision}.logvar`)).toBe(logvar !== null)
        if (logvar) expectAgreement(name, precision, 'logvar', await logvar.data())
        const draw = { sample: true, seed: 2 ** 33 + 5, firstIndex: 40 }
        expectAgreement(name, precision, 'sampled', await values(tokenizer.encode(given, draw)))
        expectAgreement(name, precision, 'masked', await values(tokenizer.encode(given, { mask })))
        expectAgreement(name, precision, 'pixels', await values(tokenizer.decode(latents)))
      })
    })

    describe.each(Object.entries(generators))('agrees with a generator: %s', (name, { latentShape }) => {
      test.each(precisions)('in %s', async (precision) => {
        using generator = await Generator.load(place.path(name), { device, precision })
        const shape = [3, ...latentShape]
        const given = [
          native().tensor(normals('inputs/x', shape), 'float32', shape, device),
          native().tensor(times, 'float32', [3], device),
          native().tensor(labels, 'int64', [3], device)
        ] as const
        const output = await (generator.native as TestingGenerator).predict(...given, precision)
        expectAgreement(name, precision, 'output', await floats(output))
        const options = { classes: [2, 0], count: 3, sampler: 'euler', seed: 7, firstIndex: 1, steps: 4 } as const
        expectAgreement(name, precision, 'plain', await (await generator.sample(options)).latents.data())
        const guidance = { scale: 2.5, low: 0.2, high: 0.9, channels: 3 }
        const drawing = generator.sample({ count: 2, seed: 11, firstIndex: 2 ** 32, steps: 3, shift: 0.3, guidance })
        expectAgreement(name, precision, 'guided', await (await drawing).latents.data())
      })
    })

    test('reads the newest checkpoint of a run folder, and its averaged weights', async () => {
      const model = place.path('kl')
      const files = { 'model.safetensors': 'softvq', 'ema.safetensors': 'kl' }
      for (const [file, from] of Object.entries(files)) {
        const weights = await readFile(place.path(`${from}/model.safetensors`))
        await place.write(`run/checkpoints/step-0000010/${file}`, weights)
      }
      await place.write('run/checkpoints/step-0000010/config.json', await readFile(`${model}/config.json`))
      await place.write('run/checkpoints/step-0000010/state.json', '{}')
      await place.write('run/checkpoints/step-0000020/config.json', '{}')
      await place.write('run.inputs.safetensors', await readFile(place.path('kl.inputs.safetensors')))
      runPython([script, place.path(''), 'run'])
      await using file = await readSafetensors(place.path('run.outputs.safetensors'))
      expect(await file.float32('fp32.mean')).toEqual(outputs.get('kl.fp32.mean'))
    })

    test('refuses the folder of another kind of model', () => {
      const reader = fileURLToPath(new URL('../../python', import.meta.url))
      const lines = [
        'import sys; sys.path.append(sys.argv[1])',
        'from mactok import Generator',
        'Generator.load(sys.argv[2])'
      ]
      const load = () => runPython(['-c', lines.join('\n'), reader, place.path('kl')])
      expect(load).toThrow('config.json is not the configuration of a mactok generator')
    })
  }
)
