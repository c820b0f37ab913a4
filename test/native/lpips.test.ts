import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openLpips } from '../../lib/weights/lpips.js'
import { loadInto } from '../../lib/weights/state.js'
import { absoluteError, Golden, relativeError } from '../support/golden.js'
import { device, floats, native, tensor } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'
import type { TestingPerceptual } from '../support/testing-addon.js'

// lpips 0.1.4 in float64 on photographs (test/golden/perceptual.py).
const golden = new Golden('perceptual')
const pairs = () => [tensor(golden.get('images')), tensor(golden.get('targets'))] as const

describe.each(['vgg', 'alex'] as const)('LPIPS (%s)', (network) => {
  const folder = join(WEIGHTS, `lpips-${network}`)
  describeWith(folder, 'agrees with the lpips package', () => {
    let lpips: TestingPerceptual
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

    test('in bf16 to the precision of bfloat16', async () => {
      const distance = await floats(await lpips.distance(...pairs(), 'bf16'))
      expect(relativeError(distance, golden.floats(`${network}.distance`))).toBeLessThan(3e-2)
    })

    test('gives equal images a distance of 0 and black ones a finite gradient', async () => {
      const [images] = pairs()
      expect(Math.max(...(await floats(await lpips.distance(images, images, 'fp32'))))).toBe(0)
      const black = native().tensor(new Float32Array(3 * 64 * 64).fill(-1), 'float32', [1, 3, 64, 64], device)
      const gradient = await floats(await lpips.gradient(black, images.slice(0, 1)))
      expect(gradient.every(Number.isFinite)).toBe(true)
    })
  })
})
