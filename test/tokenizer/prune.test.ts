import { describe, expect, test } from '@jest/globals'
import type { NativeState, NativeTokenizerConfig } from '../../lib/native/addon.js'
import { relativeError } from '../support/golden.js'
import {
  device,
  floats,
  masking,
  native,
  randomImages,
  readState,
  tokenizerConfig,
  trainerConfig,
  vit
} from '../support/native.js'

const rope = { positions: 'rope', layerScale: null } as const
const configs: Record<string, Partial<NativeTokenizerConfig>> = {
  'learned positions': {},
  'cls in the decoder': { decoder: vit() },
  rope: { encoder: vit(rope), decoder: vit({ ...rope, cls: false }) },
  'one block': { encoder: vit({ depth: 1 }), decoder: vit({ depth: 1, cls: false }) },
  swiglu: { encoder: vit({ mlp: 'swiglu' }), decoder: vit({ mlp: 'swiglu', cls: false }) }
}

const create = (changes: Partial<NativeTokenizerConfig>) =>
  native().createTokenizer(tokenizerConfig(changes), device, 11)

/** Gradients of one training step with a posterior sample and random masks. */
async function gradients(changes: Partial<NativeTokenizerConfig>): Promise<NativeState> {
  const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
  const trainer = await native().createTokenizerTrainer(await create(changes), null, config)
  const options = { step: 4, lr: 0, weights: { reconstruction: 1, kl: 1e-2, alignment: 0 } }
  return trainer.gradients([randomImages(1, 4, 16)], options)
}

async function compare(one: NativeState, other: NativeState) {
  const [left, right] = [await readState(one), await readState(other)]
  expect(Object.keys(left).sort()).toEqual(Object.keys(right).sort())
  // Relative to the largest gradient: that of the key biases is pure rounding noise.
  const scale = Math.max(...Object.values(right).flatMap((values) => Array.from(values, Math.abs)))
  expect(scale).toBeGreaterThan(0)
  for (const [name, values] of Object.entries(left)) {
    const difference = Math.max(...values.map((value, i) => Math.abs(value - (right[name]?.[i] as number))))
    expect([name, difference / scale]).toEqual([name, expect.closeTo(0, 6)])
  }
}

describe.each(Object.entries(configs))('computing only the needed tokens of the last blocks (%s)', (_, changes) => {
  test('gives the same latents and images', async () => {
    const [pruned, whole] = [await create({ ...changes, prune: true }), await create({ ...changes, prune: false })]
    const images = randomImages(1, 4, 16)
    const mask = await native().imageMask(masking({ semantic: 0 }), null, 0, 0, 0, 4, 16)
    const options = { precision: 'fp32', sample: false, seed: 0, indices: [] } as const
    const latents = await whole.encode(images, mask, options)
    expect(relativeError(await floats(await pruned.encode(images, mask, options)), await floats(latents))).toBeLessThan(
      1e-5
    )
    const decoded = await floats(await whole.decode(latents, 'fp32'))
    expect(relativeError(await floats(await pruned.decode(latents, 'fp32')), decoded)).toBeLessThan(1e-5)
  })

  test('gives the same gradients', async () => {
    await compare(await gradients({ ...changes, prune: true }), await gradients({ ...changes, prune: false }))
  })

  test('checkpointing gives the same gradients', async () => {
    await compare(await gradients({ ...changes, checkpointing: true }), await gradients(changes))
  })
})
