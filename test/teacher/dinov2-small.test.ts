import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { decode } from '../../lib/data/decode.js'
import { Teacher } from '../../lib/teacher/teacher.js'
import { concatenate, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { GOLDEN, Golden, relativeError } from '../support/golden.js'
import { device } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const weights = join(WEIGHTS, 'dinov2-small')

// timm 1.0.31 vit_small_patch14_dinov2 with checkpoint_filter_fn on the same weights, float64 (test/golden/dinov2_small.py).
describeWith(weights, 'the real DINOv2-small agrees with timm on photographs', () => {
  const golden = new Golden('dinov2_small')

  const photographs = async (): Promise<Tensor<'uint8'>> => {
    const images = await Promise.all(
      ['astronaut', 'chelsea'].map(async (name) => decode(await readFile(`${GOLDEN}${name}.png`)))
    )
    return concatenate(images.map(({ data, width, height }) => tensor(data, [1, height, width, 3], { device })))
  }

  test.each([
    ['224', { grid: 16 }],
    ['resampled_size', { grid: 10 }],
    ['resampled_patch', { grid: 7, patchSize: 16 }]
  ])('%s', async (name, options) => {
    const teacher = await Teacher.load(weights, { ...options, device })
    const { cls, patches } = await teacher.features(await photographs())
    const [tokens, width] = [options.grid ** 2, 384]
    expect(cls.shape).toEqual([2, width])
    expect(patches.shape).toEqual([2, tokens, width])
    expect(relativeError(await cls.data(), golden.floats(`${name}.cls`))).toBeLessThan(1e-5)

    const values = await patches.data()
    const rowOf = (image: number, token: number) =>
      values.subarray((image * tokens + token) * width, (image * tokens + token + 1) * width)
    const rows = Array.from(golden.get(`${name}.rows`).data, Number)
    const chosen = [0, 1].flatMap((image) => rows.flatMap((token) => Array.from(rowOf(image, token))))
    expect(relativeError(chosen, golden.floats(`${name}.patches`))).toBeLessThan(1e-5)
    const every = [0, 1].flatMap((image) => Array.from({ length: tokens }, (_, token) => rowOf(image, token)))
    expect(
      relativeError(
        every.map((row) => Math.hypot(...row)),
        golden.floats(`${name}.norms`)
      )
    ).toBeLessThan(1e-5)
  })

  test('bf16 stays close to fp32', async () => {
    const teacher = await Teacher.load(weights, { grid: 16, device })
    const images = await photographs()
    const exact = await (await teacher.features(images)).cls.data()
    const half = await (await teacher.features(images, { precision: 'bf16' })).cls.data()
    const dot = exact.reduce((sum, value, i) => sum + value * (half[i] as number), 0)
    expect(dot / (Math.hypot(...exact) * Math.hypot(...half))).toBeGreaterThan(0.999)
  })
})
