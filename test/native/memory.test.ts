import { expect, test } from '@jest/globals'
import { device, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'

const megabytes = () => process.memoryUsage.rss() / 2 ** 20

test('disposing a trainer returns its memory to the system', async () => {
  const shape = vit({ width: 256, depth: 8 })
  const model = await native().createTokenizer(tokenizerConfig({ encoder: shape, decoder: shape }), device, 1)
  const config = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
  const images = randomImages(0, 64, 16)
  /** Megabytes while it lives, and after. */
  const train = async () => {
    const trainer = await native().createTokenizerTrainer(model, null, config)
    await trainer.step([images], { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0 } })
    const training = megabytes()
    trainer.dispose()
    await images.read() // the engine's next job
    return { training, after: megabytes() }
  }
  const { after: before } = await train() // with it goes what earlier tests of this process left
  const { training, after } = await train()
  images.dispose()
  expect(training - before).toBeGreaterThan(200)
  expect(after - before).toBeLessThan((training - before) / 4)
})
