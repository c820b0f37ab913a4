import { beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeTeacher } from '../../lib/native/addon.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { bytes, device, floats, loadGolden, masking, native, tensor, vit } from '../support/native.js'

// timm's ViT after F.interpolate (bicubic, no antialias) and ImageNet statistics, float64 (test/golden/teacher.py).
const golden = new Golden('teacher')

describe('the teacher agrees with timm and PyTorch', () => {
  let teacher: NativeTeacher

  beforeAll(async () => {
    teacher = await native().createTeacher({ vit: vit({ width: 12 }), patchSize: 4, inputSize: 16 }, device)
    await loadGolden(teacher, golden)
  })

  test('resizes, normalises and returns cls and patch features', async () => {
    const { cls, patches } = await teacher.features(tensor(golden.get('images')), 'fp32')
    expect(relativeError(await floats(cls), golden.floats('cls'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(patches), golden.floats('patches'))).toBeLessThan(1e-5)
  })

  test('accepts float images in [-1, 1] as well', async () => {
    const { data, shape } = golden.get('images')
    const [batch, height, width] = shape as [number, number, number]
    const planes = new Float32Array(data.length)
    for (let i = 0; i < data.length; i++) {
      const pixel = Math.floor(i / 3)
      const [image, rest] = [Math.floor(pixel / (height * width)), pixel % (height * width)]
      planes[(image * 3 + (i % 3)) * height * width + rest] = Number(data[i]) / 127.5 - 1
    }
    const images = native().tensor(planes, 'float32', [batch, 3, height, width], device)
    const { cls } = await teacher.features(images, 'fp32')
    expect(relativeError(await floats(cls), golden.floats('cls'))).toBeLessThan(1e-5)
  })

  test.each([4, 8, 3])('scores patches by their cosine with cls on a grid of %i', async (grid) => {
    const scores = await teacher.similarity(tensor(golden.get('images')), grid, 'fp32')
    expect(scores.shape).toEqual([3, grid * grid])
    expect(absoluteError(await floats(scores), golden.floats(`similarity.${grid}`))).toBeLessThan(1e-5)
  })

  test.each([0, 1, 4, 7, 12, 16])('masks the %i highest scores, ties to the lower index', async (count) => {
    const ratio = count / 16
    const fixed = masking({ minRatio: ratio, maxRatio: ratio, semantic: 1 })
    const mask = await native().imageMask(fixed, tensor(golden.get('ties')), 0, 0, 0, 3, 16)
    expect(await bytes(mask)).toEqual(golden.get(`mask.${count}`).data)
  })

  test('refuses features with another width, naming the tensor', async () => {
    const wide = await native().createTeacher({ vit: vit({ width: 16 }), patchSize: 4, inputSize: 16 }, device)
    await expect(Promise.resolve().then(() => loadGolden(wide, golden))).rejects.toThrow(
      /shape .* for teacher tensor .* but received/
    )
  })
})
