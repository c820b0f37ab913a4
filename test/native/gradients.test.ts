import { describe, expect, test } from '@jest/globals'
import { Golden, relativeError } from '../support/golden.js'
import { floats, vit } from '../support/native.js'
import { type GoldenSetting, goldenTrainer } from '../support/training.js'

const weights = (reconstruction: number, kl: number, alignment: number) => ({ reconstruction, kl, alignment })
const rope = { positions: 'rope', layerScale: null } as const

// The configurations of test/golden/training.py, by name.
const cases: Record<string, GoldenSetting & { step: number; weights: ReturnType<typeof weights> }> = {
  base: { step: 3, weights: weights(1, 1e-6, 0.1) },
  l1: {
    step: 0,
    weights: weights(1, 1e-2, 0.5),
    tokenizer: { decoder: vit({ cls: true }) },
    training: { reconstruction: 'l1', masking: { semantic: 1 } }
  },
  shared: {
    step: 8,
    weights: weights(1, 1e-6, 0.1),
    tokenizer: { latentTokens: 5 },
    training: { masking: { per: 'batch' }, alignment: { shared: true, on: 'mean' } }
  },
  local: {
    step: 1,
    weights: weights(1, 1e-6, 0.1),
    training: { masking: { target: 'latent' }, alignment: { global: false } }
  },
  rope: {
    step: 3,
    weights: weights(1, 1e-6, 0.1),
    tokenizer: { encoder: vit(rope), decoder: vit({ ...rope, cls: false }) },
    training: { masking: { semantic: 0 }, alignment: { local: false } }
  },
  ae: {
    step: 3,
    weights: weights(1, 1e-6, 0.1),
    teacher: false,
    tokenizer: { bottleneck: 'ae' },
    training: { masking: { target: 'none' }, alignment: { local: false, global: false } }
  }
}

// A plain PyTorch model on timm's blocks, torch autograd in float64; masks and ε from test/golden/philox.py.
describe.each(Object.entries(cases))(
  'loss and gradients agree with PyTorch (%s)',
  (name, { step, weights, ...setting }) => {
    const golden = new Golden(`gradients_${name}`)

    test('every loss term', async () => {
      const { trainer, images } = await goldenTrainer(golden, setting)
      await trainer.step([images], { step, lr: 0, weights })
      const metrics = await trainer.metrics()
      for (const term of ['total', 'reconstruction', 'kl', 'alignLocal', 'alignGlobal']) {
        if (!golden.tensors.has(`loss.${term}`)) continue
        expect([term, relativeError([metrics[term] as number], [golden.scalar(`loss.${term}`)])]).toEqual([
          term,
          expect.closeTo(0, 5)
        ])
      }
      if (golden.tensors.has('loss.mask')) {
        const mask = golden.get('loss.mask').data as Uint8Array
        expect(metrics.maskRatio).toBeCloseTo(mask.reduce((sum, bit) => sum + bit, 0) / mask.length, 6)
      }
    })

    test('every gradient', async () => {
      const { trainer, images } = await goldenTrainer(golden, setting)
      const gradients = await trainer.gradients([images], { step, lr: 0, weights })
      const expected = golden.under('grad.')
      const trained = Object.keys(golden.under('w.'))
      expect(Object.keys(gradients).sort()).toEqual(trained.sort())
      const errors: Record<string, number> = {}
      for (const key of trained) {
        const actual = await floats(gradients[key] as never)
        const reference = expected[key]?.data as Float32Array | undefined
        const error = reference ? relativeError(actual, reference) : Math.max(...actual.map(Math.abs))
        if (!(error < 1e-5)) errors[key] = error
      }
      expect(errors).toEqual({})
    })
  }
)
