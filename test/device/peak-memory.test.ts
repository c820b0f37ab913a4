import { expect, test } from '@jest/globals'
import { perceptual } from '../support/adversary.js'
import { device, native, randomImages, tokenizerConfig, trainerConfig, vit } from '../support/native.js'
import { countOnDevice, describeOnStandIn } from '../support/stand-in.js'

/** The most bytes that `work` holds at once on the device. */
const peakOf = async (work: () => Promise<unknown>) => (await countOnDevice(work)).peakBytes

describeOnStandIn('peak memory', () => {
  test('of the discriminator hardly grows with its kernel: a convolution keeps no windows', async () => {
    const peak = async (kernel: number) => {
      const backbone = vit({ width: 64, depth: 2, layerScale: null })
      const config = { vit: backbone, patchSize: 4, inputSize: 64, levels: [0, 1], kernel }
      const discriminator = await native().createDiscriminator(config, device, 0)
      const [real, fake] = [randomImages(1, 8, 64), randomImages(2, 8, 64)]
      const pass = () => discriminator.discriminatorPass(real, fake, 'hinge', { coin: 0, top: 0, left: 0 })
      await pass() // makes what is kept
      return peakOf(pass)
    }
    expect(await peak(9)).toBeLessThan(1.2 * (await peak(1))) // 2.05 times with windows
  })

  test('of rotary positions is less than float32 copies of what is rotated', async () => {
    const [images, depth, width] = [8, 4, 64]
    const tokens = 256 + 4 // besides cls
    const peak = async (positions: 'learned' | 'rope') => {
      const network = vit({ width, depth, positions })
      const model = await native().createTokenizer(
        tokenizerConfig({ imageSize: 64, encoder: network, decoder: { ...network, cls: false } }),
        device,
        1
      )
      const options = { alignment: { local: false, global: false }, masking: { semantic: 0 } }
      const trainer = await native().createTokenizerTrainer(
        model,
        null,
        trainerConfig({ ...options, precision: 'bf16' })
      )
      const weights = { reconstruction: 1, kl: 1e-4, alignment: 0 }
      const step = (number: number) =>
        trainer.step([randomImages(number, images, 64)], { step: number, lr: 1e-3, weights })
      await step(0)
      return peakOf(() => step(1))
    }
    const rotated = 2 * (depth + depth) * images * tokens * width // queries and keys
    expect((await peak('rope')) - (await peak('learned'))).toBeLessThan(4 * rotated) // 4.8 as complex numbers
  })

  test("of LPIPS's distance does not grow with the images", async () => {
    const lpips = await perceptual()
    // 64 images of 64 pixels are computed at a time; the features of all of them are kept.
    const peak = (images: number) =>
      peakOf(() => lpips.distance(randomImages(1, images, 64), randomImages(2, images, 64), 'fp32'))
    expect(await peak(96)).toBeLessThan(1.35 * (await peak(64))) // 1.5 times when computed at once
  })
})
