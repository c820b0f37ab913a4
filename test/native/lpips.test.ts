import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { NativePerceptual } from '../../lib/native/addon.js'
import { openLpips } from '../../lib/weights/lpips.js'
import { loadInto } from '../../lib/weights/state.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

// lpips 0.1.4 in float64 on photographs (test/golden/perceptual.py).
const golden = new Golden('perceptual')
const pairs = () => [tensor(golden.get('images')), tensor(golden.get('targets'))] as const

describe.each(['vgg', 'alex'] as const)('LPIPS (%s)', (network) => {
  const folder = join(WEIGHTS, `lpips-${network}`)
  describeWith(folder, 'agrees with the lpips package', () => {
    let lpips: NativePerceptual
    beforeAll(async () => {
      const checkpoint = await openLpips(folder)
      expect(checkpoint.network).toBe(network)
      lpips = await native().createPerceptual(network, device)
      await loadInto(lpips, checkpoint.weights)
      await checkpoint.close()
    })
    afterAll(() => lpips.dispose())

    test('in the distance of each pair', async () => {
      const distance = await floats(await lpips.distance(...pairs(), 'fp32'))
      expect(absoluteError(distance, golden.floats(`${network}.distance`))).toBeLessThan(1e-5)
    })

    test('in the gradient with respect to the images', async () => {
      const gradient = await floats(await lpips.gradient(...pairs()))
      expect(relativeError(gradient, golden.floats(`${network}.gradient`))).toBeLessThan(1e-4)
    })

    test('in bf16 to what bfloat16 can say', async () => {
      const distance = await floats(await lpips.distance(...pairs(), 'bf16'))
      expect(relativeError(distance, golden.floats(`${network}.distance`))).toBeLessThan(3e-2)
    })

    test('finds no distance between equal images, and a finite gradient of black ones', async () => {
      const [images] = pairs()
      expect(Math.max(...(await floats(await lpips.distance(images, images, 'fp32'))))).toBe(0)
      const black = native().tensor(new Float32Array(3 * 64 * 64).fill(-1), 'float32', [1, 3, 64, 64], device)
      const gradient = await floats(await lpips.gradient(black, images.slice(0, 1)))
      expect(gradient.every(Number.isFinite)).toBe(true)
    })
  })
})
