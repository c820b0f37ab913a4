import { describe, expect, test } from '@jest/globals'
import type { NativeTensor } from '../../lib/native/addon.js'
import { adversarialTrainer, full } from '../support/adversary.js'
import { Golden, relativeError } from '../support/golden.js'
import { floats, randomImages } from '../support/native.js'
import { goldenTrainer } from '../support/training.js'

/** Whether bfloat16 holds every value: the lower half of each float32 is zero. */
const isRounded = (values: Float32Array) => new Uint32Array(values.buffer).every((bits) => (bits & 0xffff) === 0)

describe('in bf16', () => {
  // The same model in PyTorch under torch.autocast("cpu"), backward outside of it (test/golden/training.py).
  test('loss and gradients agree with PyTorch under autocast', async () => {
    const golden = new Golden('gradients_autocast')
    const { trainer, images } = await goldenTrainer(golden, {
      teacher: false,
      training: {
        precision: 'bf16',
        masking: { semantic: 0 },
        alignment: { local: false, global: false }
      }
    })
    const options = { step: 3, lr: 0, weights: { reconstruction: 1, kl: 1e-2, alignment: 0 } }
    const gradients = await trainer.gradients([images], options)
    const errors: Record<string, number> = {}
    for (const [key, reference] of Object.entries(golden.under('grad.'))) {
      const error = relativeError(await floats(gradients[key] as NativeTensor), reference.data as Float32Array)
      if (!(error < 0.02)) errors[key] = error
    }
    expect(errors).toEqual({})
  })

  test('the gradients of the float32 posterior are not rounded', async () => {
    const { trainer } = await adversarialTrainer(full, { precision: 'bf16' })
    const weights = { reconstruction: 1, kl: 1e-4, alignment: 0.3, adversarial: 0.2 }
    const gradients = await trainer.gradients([randomImages(5, 4, 16)], { step: 0, lr: 0, weights })
    const rounded = await Promise.all(
      ['weight', 'bias'].map(async (name) => isRounded(await floats(gradients[`to_posterior.${name}`] as NativeTensor)))
    )
    expect(rounded).toEqual([false, false])
  })
})
