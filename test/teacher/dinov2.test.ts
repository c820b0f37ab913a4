import { describe, expect, test } from '@jest/globals'
import type { NativeState, NativeVitConfig } from '../../lib/native/addon.js'
import { Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor, tensors, vit } from '../support/native.js'

// timm 1.0.31 VisionTransformer.forward_features, float64, random weights (test/golden/vits.py).
const kinds: Record<string, Partial<NativeVitConfig>> = {
  gelu: {},
  registers: { registers: 4 },
  swiglu: { mlp: 'swiglu', mlpRatio: 2.66667 * 2 }
}

const create = async (kind: string, inputSize: number, weights: NativeState) => {
  const config = { vit: vit({ width: 12, ...kinds[kind] }), patchSize: 4, inputSize }
  const teacher = await native().createTeacher(config, device)
  await teacher.load(weights)
  return teacher
}

describe.each(Object.keys(kinds))('a DINOv2-like ViT (%s) agrees with timm', (kind) => {
  const golden = new Golden(`vit_${kind}`)

  test('at its own size', async () => {
    const teacher = await create(kind, 16, tensors(golden.under('w.')))
    const { cls, patches } = await teacher.features(tensor(golden.get('images')), 'fp32')
    expect(cls.shape).toEqual([2, 12])
    expect(patches.shape).toEqual([2, 16, 12])
    expect(relativeError(await floats(cls), golden.floats('cls'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(patches), golden.floats('patches'))).toBeLessThan(1e-5)
  })

  test('at a larger size, with resampled positions', async () => {
    const weights = tensors(golden.under('w.'))
    const prefix = kind === 'registers' ? 0 : 1 // timm's reg4 models have no position for cls
    weights.pos_embed = await native().resamplePositions(weights.pos_embed as never, prefix, [4, 4], [6, 6])
    const teacher = await create(kind, 24, weights)
    const { cls, patches } = await teacher.features(tensor(golden.get('larger.images')), 'fp32')
    expect(patches.shape).toEqual([1, 36, 12])
    expect(relativeError(await floats(cls), golden.floats('larger.cls'))).toBeLessThan(1e-5)
    expect(relativeError(await floats(patches), golden.floats('larger.patches'))).toBeLessThan(1e-5)
  })
})
