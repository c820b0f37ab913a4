import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import type { NativeTensor } from '../../lib/native/addon.js'
import { checkpointFolder } from '../../lib/runs/checkpoint.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { relativeError } from '../support/golden.js'
import { gradient, png, Workplace } from '../support/images.js'
import { device, floats } from '../support/native.js'
import { describeOnStandIn } from '../support/stand-in.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }

describeOnStandIn('a run whose checkpoints move between devices', () => {
  const place = new Workplace()
  const train = (run: string, stopAt: number, on: string) =>
    trainTokenizer({
      tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
      batch: 2,
      steps: 6,
      precision: 'fp32',
      align: { local: false, global: false },
      masking: { semantic: 0 },
      optimizer: { lr: 1e-3, warmup: 2 },
      checkpoint: { every: 2 }
    })
      .data(place.path('photos'))
      .run({ dir: place.path(run), stopAt, resume: true, device: on })
  const weights = (run: string) => readFileSync(join(checkpointFolder(place.path(run), 6), 'model.safetensors'))

  beforeAll(async () => {
    for (let i = 0; i < 4; i++) await place.write(`photos/${i}.png`, await png(gradient(20, 20, i)))
  })

  test('resumes on a CPU, then on a device again, with the weights of a run on the device alone', async () => {
    await train('moved', 2, device)
    await train('moved', 4, 'cpu')
    await train('moved', 6, device)
    await train('alone', 6, device)
    expect(weights('moved').length).toBe(weights('alone').length)
    using moved = await Tokenizer.load(place.path('moved'), { device })
    using alone = await Tokenizer.load(place.path('alone'), { device: 'cpu' })
    const [states, others] = [moved.native.state(), alone.native.state()]
    for (const [name, tensor] of Object.entries(states)) {
      const [found, expected] = await Promise.all([floats(tensor), floats(others[name] as NativeTensor)])
      // The CPU has kernels of its own, which round differently, and AdamW makes steps of any gradient.
      expect([name, relativeError(found, expected) < 0.02]).toEqual([name, true])
    }
  })
})
