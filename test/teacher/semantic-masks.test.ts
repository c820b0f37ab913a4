import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { centreCrop } from '../../lib/data/crop.js'
import { decode } from '../../lib/data/decode.js'
import { imageFolder } from '../../lib/data/image-folder.js'
import { Teacher } from '../../lib/teacher/teacher.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { Golden } from '../support/golden.js'
import { bytes, device, masking, native } from '../support/native.js'
import { DATA, describeWith, WEIGHTS } from '../support/paths.js'

const [weights, images] = [join(WEIGHTS, 'dinov2-small'), join(DATA, 'imagenet')]
const [SIZE, GRID, BATCH] = [256, 16, 20]

// timm's top-k on the same pixels, float64 (test/golden/semantic_masks.py).
describeWith(weights, 'with the real DINOv2-small', () => {
  describeWith(images, 'on 300 images', () => {
    const golden = new Golden('semantic_masks')
    const counts = [64, 180]

    test('semantic masks equal the top-k of timm', async () => {
      const teacher = await Teacher.load(weights, { grid: GRID, device })
      const set = await imageFolder(images).open()
      expect(set.size).toBe(300)
      const hashes = golden.get('hashes').data as Uint8Array
      const different: string[] = []
      for (let first = 0; first < set.size; first += BATCH) {
        const pixels = new Uint8Array(BATCH * SIZE * SIZE * 3)
        for (let i = 0; i < BATCH; i++) {
          const own = pixels.subarray(i * SIZE * SIZE * 3, (i + 1) * SIZE * SIZE * 3)
          await centreCrop(await decode(await set.read(first + i)), SIZE, own)
          const hash = createHash('sha256').update(own).digest().subarray(0, 8)
          if (!hash.equals(hashes.subarray((first + i) * 8, (first + i + 1) * 8))) {
            throw new Error(
              `${set.sample(first + i).name} decodes to other pixels than those that timm saw: make semantic_masks anew`
            )
          }
        }
        using images = tensor(pixels, [BATCH, SIZE, SIZE, 3], { device })
        using scores = await teacher.similarity(images)
        for (const count of counts) {
          const ratio = count / GRID ** 2
          const fixed = masking({ minRatio: ratio, maxRatio: ratio, semantic: 1 })
          const mask = await bytes(await native().imageMask(fixed, scores.native, 0, 0, 0, BATCH, GRID ** 2))
          const packed = golden.get(`mask.${count}`).data as Uint8Array
          for (let i = 0; i < BATCH; i++) {
            const row = mask.subarray(i * GRID ** 2, (i + 1) * GRID ** 2)
            const expected = row.map(
              (_, bit) => ((packed[(first + i) * 32 + (bit >> 3)] as number) >> (7 - (bit & 7))) & 1
            )
            const flips = row.filter((bit, at) => bit !== expected[at]).length
            // Scores that differ by less than float32 resolves have no order: 1 of these 600 masks has such an edge.
            const gap = golden.floats(`gap.${count}`)[first + i] as number
            const allowed = gap < 1e-6 ? 2 : 0
            if (flips > allowed) different.push(`${set.sample(first + i).name} ${count}: ${flips}`)
          }
        }
      }
      expect(different).toEqual([])
    }, 240_000)
  })
})
