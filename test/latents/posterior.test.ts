import { expect, test } from '@jest/globals'
import { samplePosterior } from '../../lib/latents/posterior.js'

test('a draw is mean + exp(logvar / 2) · noise', () => {
  const latents = Float32Array.of(1, -2, 3)
  samplePosterior(latents, Float32Array.of(0, 2 * Math.log(3), -Infinity), Float32Array.of(0.5, 1, 7))
  expect([...latents]).toEqual([1.5, 1, 3])
})
