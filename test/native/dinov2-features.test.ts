import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Dinov2 } from '../../lib/evaluation/dinov2.js'
import { Tensor } from '../../lib/tensor/tensor.js'
import { Golden, relativeError } from '../support/golden.js'
import { device, tensor } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const weights = join(WEIGHTS, 'dinov2-small')

describeWith(weights, "DINOv2's features for Fréchet distances", () => {
  // test/golden/dinov2_small.py: torchvision's Resize (Pillow's bicubic) as in dgm-eval, then timm in float64.
  test('agree with timm on images resized as dgm-eval does, whatever their shape', async () => {
    const golden = new Golden('dinov2_small')
    using network = await Dinov2.load({ weights, device })
    expect(network.width).toBe(384)
    using images = Tensor.wrap<'uint8'>(tensor(golden.get('evaluation.images')))
    expect(images.shape).toEqual([2, 80, 96, 3])
    using features = await network.features(images)
    expect(relativeError(await features.toFloat32(), golden.floats('evaluation.cls'))).toBeLessThan(1e-4)
  })
})
