import { stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { InferenceSession, Tensor as OnnxTensor } from 'onnxruntime-node'
import { Generator } from '../../lib/generator/generator.js'
import { exportOnnx } from '../../lib/interchange/onnx/export.js'
import { Graph } from '../../lib/interchange/onnx/graph.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { relativeError } from '../support/golden.js'
import { Workplace } from '../support/images.js'
import { generators, images, network, normals, randomiseWeights, tokenizers } from '../support/models.js'
import { device, floats, native } from '../support/native.js'
import type { TestingGenerator } from '../support/testing-addon.js'

const place = new Workplace()
const precisions = ['fp32', 'fp16'] as const

/** Largest differences from our own fp32, as parts of the largest value. */
const tolerances = { fp32: 1e-5, fp16: 1e-2 }
const expectAgreement = (precision: 'fp32' | 'fp16', theirs: OnnxTensor | undefined, ours: Float32Array) =>
  expect(relativeError(theirs?.data as Float32Array, ours)).toBeLessThan(tolerances[precision])

const sessions: InferenceSession[] = []
const open = async (file: string): Promise<InferenceSession> => {
  const session = await InferenceSession.create(file, { logSeverityLevel: 3 })
  sessions.push(session)
  return session
}
afterAll(() => Promise.all(sessions.map((session) => session.release())))

const float32 = (values: Float32Array, shape: readonly number[]) => new OnnxTensor('float32', values, shape)

beforeAll(async () => {
  for (const [name, config] of Object.entries(tokenizers)) {
    using tokenizer = await Tokenizer.create({ ...images, ...config }, { device })
    await tokenizer.save(place.path(name))
    await randomiseWeights(place.path(name))
  }
  for (const [name, config] of Object.entries(generators)) {
    using generator = await Generator.create({ ...network, ...config }, { device })
    await generator.save(place.path(name))
    await randomiseWeights(place.path(name))
  }
})

describe.each(Object.keys(tokenizers))("onnxruntime agrees on a tokenizer's graphs: %s", (name) => {
  test.each(precisions)('%s', async (precision) => {
    const out = place.path(`${name}-${precision}`)
    const { files } = await exportOnnx(place.path(name), { out, precision })
    expect(files.map(({ file }) => file)).toEqual([`${out}/encoder.onnx`, `${out}/decoder.onnx`])
    using tokenizer = await Tokenizer.load(place.path(name), { device })
    const encoder = await open(`${out}/encoder.onnx`)
    const decoder = await open(`${out}/decoder.onnx`)
    // The batch is free.
    for (const batch of [1, 3]) {
      const shape = [batch, 3, 32, 32]
      const pixels = normals(`images/${batch}`, shape, 0.5)
      using given = tensor(pixels, shape, { device })
      const { mean, logvar } = await tokenizer.posterior(given)
      const encoded = await encoder.run({ images: float32(pixels, shape) })
      expect(encoded.mean?.dims).toEqual([batch, 8, 6])
      expectAgreement(precision, encoded.mean, await mean.data())
      expect(Object.keys(encoded)).toEqual(logvar ? ['mean', 'logvar'] : ['mean'])
      if (logvar) expectAgreement(precision, encoded.logvar, await logvar.data())
      const latents = normals(`latents/${batch}`, [batch, 8, 6])
      using drawn = tensor(latents, [batch, 8, 6], { device })
      using decoded = await tokenizer.decode(drawn)
      const result = await decoder.run({ latents: float32(latents, [batch, 8, 6]) })
      expect(result.images?.dims).toEqual(shape)
      expectAgreement(precision, result.images, await decoded.data())
    }
  })
})

describe.each(Object.entries(generators))(
  "onnxruntime agrees on a generator's graph: %s",
  (name, { latentShape, flow }) => {
    test.each(precisions)('%s', async (precision) => {
      const out = place.path(`${name}-${precision}`)
      await exportOnnx(place.path(name), { out, precision })
      using generator = await Generator.load(place.path(name), { device })
      const denoiser = await open(`${out}/denoiser.onnx`)
      const prediction = flow?.prediction ?? 'velocity'
      expect(denoiser.outputNames).toEqual([prediction])
      const shape = [3, ...latentShape]
      const latents = normals('denoised', shape)
      const [times, labels] = [Float32Array.of(0.01, 0.5, 0.93), BigInt64Array.of(0n, 4n, 5n)]
      const reversed = flow?.time === 'data_at_0'
      const own = reversed ? times.map((t) => 1 - t) : times
      const output = await (generator.native as TestingGenerator).predict(
        native().tensor(latents, 'float32', shape, device),
        native().tensor(own, 'float32', [3], device),
        native().tensor(labels, 'int64', [3], device),
        'fp32'
      )
      const expected = (await floats(output)).map((value) => (reversed && prediction === 'velocity' ? -value : value))
      const given = { latents: float32(latents, shape), time: float32(times, [3]), label: new OnnxTensor(labels, [3]) }
      expectAgreement(precision, (await denoiser.run(given))[prediction], expected)
    })
  }
)

test('fp16 halves the file', async () => {
  const sizes = precisions.map(async (precision) => (await stat(place.path(`sit-${precision}/denoiser.onnx`))).size)
  const [whole, half] = (await Promise.all(sizes)) as [number, number]
  expect(half / whole).toBeLessThan(0.6)
})

test('weights that do not fit into one file are in a file beside it', async () => {
  const graph = new Graph()
  const x = graph.input('x', 'float32', ['batch', 4])
  const values = Float32Array.of(1, 2, 3, 4)
  const sum = graph.apply('Add', [x, graph.constant('b', 'float32', [4], async () => values)])
  graph.output('y', graph.apply('Add', [sum, graph.scalar(0.5, 'float32')]), ['batch', 4])
  const file = place.path('large.onnx')
  expect(await graph.write(file, 'large', {}, 10)).toEqual([file, `${file}.data`])
  const session = await open(file)
  const { y } = await session.run({ x: float32(Float32Array.of(1, 1, 1, 1), [1, 4]) })
  expect(Array.from(y?.data as Float32Array)).toEqual([2.5, 3.5, 4.5, 5.5])
})

test('refuses wrong options, folders without a model, and to overwrite graphs', async () => {
  const out = place.path('twice')
  await exportOnnx(place.path('kl'), { out })
  await expect(exportOnnx(place.path('kl'), { out })).rejects.toThrow(/encoder\.onnx exists, and so do 1 others/)
  await exportOnnx(place.path('kl'), { out, force: true })
  await expect(exportOnnx(place.path('kl'), { out, precision: 'bf16' as never })).rejects.toThrow(
    'Expected one of fp32, fp16'
  )
  await expect(exportOnnx(place.path('kl'), {} as never)).rejects.toThrow('Expected a path for out')
  await expect(exportOnnx(place.path('none'), { out })).rejects.toThrow('holds no tokenizer or generator')
})
