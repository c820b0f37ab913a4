import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { torchFile } from '../../lib/latents/torch-file.js'

test('writes the file that torch.load reads', () => {
  const file = torchFile({
    mean: { shape: [1, 1, 6], values: Float32Array.of(0, 0.5, 1, 1.5, 2, 2.5) },
    std: { shape: [1, 2, 1, 1], values: Float32Array.of(3, 4) }
  })
  // torch 2.15.0: torch.load(file, weights_only=True) of these very bytes gave mean [[[0, .5, 1, 1.5, 2, 2.5]]] and
  // std [[[[3]], [[4]]]], both float32 and contiguous, with mmap=True as well; zipfile.testzip() found nothing.
  expect(file.length).toBe(941)
  expect(createHash('sha256').update(file).digest('hex')).toBe(
    '4434a2068de0cbae0852248a546717545e682cf7a1e074d26b6a98d15e1f4171'
  )
})
