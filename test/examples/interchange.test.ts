import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { gradient, toSharp, Workplace } from '../support/images.js'
import { images, randomiseWeights, tokenizers } from '../support/models.js'

const folder = new URL('../../examples/interchange/', import.meta.url)

/** Runs a script in a process of its own, because it loads the built library. */
function run(args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return stdout
}

describe('examples/interchange', () => {
  const place = new Workplace()

  beforeAll(async () => {
    using tokenizer = await Tokenizer.create({ ...images, ...tokenizers.kl })
    await tokenizer.save(place.path('model'))
    await randomiseWeights(place.path('model'))
    await toSharp(gradient(48, 40, 90))
      .png()
      .toFile(place.path('image.png'))
  })

  test('reconstructs an image by transformers.js, mactok and onnxruntime-node', async () => {
    const script = fileURLToPath(new URL('reconstruct.mjs', folder))
    const out = run([script, place.path('model'), place.path('image.png'), place.path('out.png')])
    const [, difference] = /within (\S+) of mactok's own decoder/.exec(out) ?? []
    expect(Number(difference)).toBeLessThan(1e-4)
    expect(out).toContain('means by transformers.js [1,6] equal ours: true')
    expect(await sharp(place.path('out.png')).metadata()).toMatchObject({ width: 32, height: 32, channels: 3 })
  })

  test('takes every dtype to both libraries and back', () => {
    const script = `
      import { tensor } from '${new URL('../../dist/index.js', import.meta.url)}'
      import { fromOnnx, fromTransformers, toOnnx, toTransformers } from '${new URL('tensors.mjs', folder)}'
      const arrays = {
        float32: Float32Array.of(NaN, -Infinity), float64: Float64Array.of(NaN, -Infinity),
        float16: Uint16Array.of(0x7e00, 0xfc00), int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
        int32: Int32Array.of(-1, 2), int16: Int16Array.of(-1, 2), int8: Int8Array.of(-1, 2), uint8: Uint8Array.of(1, 255),
        bool: Uint8Array.of(1, 0)
      }
      const result = {}
      for (const [dtype, data] of Object.entries(arrays)) {
        const t = tensor(data, [2, 1], { dtype })
        const [onnx, transformers] = [await toOnnx(t), await toTransformers(t)]
        const back = await Promise.all([fromOnnx(onnx), fromTransformers(transformers)].map((one) => one.data()))
        const equal = back.every((one) => Buffer.from(one.buffer).equals(Buffer.from(data.buffer)))
        result[dtype] = [onnx.type, transformers.type, onnx.dims, equal]
      }
      const half = await toOnnx(tensor(Uint16Array.of(0x3fc0), [1], { dtype: 'bfloat16' }))
      console.log(JSON.stringify({ ...result, bfloat16: [half.type, half.data[0]] }))`
    const dtypes = ['float32', 'float64', 'float16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool']
    expect(JSON.parse(run(['--input-type=module', '--eval', script]))).toEqual({
      ...Object.fromEntries(dtypes.map((dtype) => [dtype, [dtype, dtype, [2, 1], true]])),
      bfloat16: ['float32', 1.5]
    })
  })
})
