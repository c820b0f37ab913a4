/** Weights, images and the draws of the first steps that we and the peer share. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addon } from '../../dist/native/load.js'
import { writeSafetensors } from '../../dist/weights/writer.js'
import { createTrainer, randomImages } from './tokenizer-trainer.mjs'

const STEPS = 3

/** Writes them into `folder` and returns what the specs name. */
export async function writeTokenizerFixtures(folder, spec) {
  await mkdir(folder, { recursive: true })
  const { config, trainer, teacher, networks } = await createTrainer(spec)
  const { imageSize, patchSize, latentTokens, latentChannels } = config.tokenizer
  const { model, alignment, discriminator } = trainer.state()
  const groups = {
    model,
    alignment,
    discriminator,
    teacher: teacher?.native.state(),
    backbone: networks.discriminator?.state()
  }
  const tensors = Object.entries(groups).flatMap(([group, state]) =>
    Object.entries(state ?? {})
      .filter(([name]) => group !== 'backbone' || name.startsWith('backbone.'))
      .map(([name, tensor]) => ({
        name: group === 'backbone' ? name : `${group}.${name}`,
        dtype: /** @type {const} */ ('float32'),
        shape: tensor.shape,
        data: async () => new Float32Array(await tensor.read())
      }))
  )
  const weights = join(folder, 'weights.safetensors')
  await writeSafetensors(weights, tensors)

  const { batch } = spec
  const patches = (imageSize / patchSize) ** 2
  const { uniform, normal } = addon()
  /** @type {[string, any, number[], (step: number) => any][]} */
  const draws = [
    ['images', 'uint8', [imageSize, imageSize, 3], (step) => randomImages(step, batch, imageSize)],
    ['ratio', 'float32', [], (step) => uniform(1, 'mask/ratio', step, 0, batch, 1)],
    ['coin', 'float32', [], (step) => uniform(1, 'mask/semantic', step, 0, batch, 1)],
    ['random', 'float32', [patches], (step) => uniform(1, 'mask/random', step, 0, batch, patches)],
    [
      'noise',
      'float32',
      [latentTokens, latentChannels],
      (step) => normal(1, 'posterior', step, 0, batch, latentTokens * latentChannels)
    ]
  ]
  const known = join(folder, 'known.safetensors')
  await writeSafetensors(
    known,
    draws.map(([name, dtype, shape, draw]) => ({
      name,
      dtype,
      shape: [STEPS, batch, ...shape],
      data: () => Array.from({ length: STEPS }, (_, step) => draw(step))
    }))
  )
  return { weights, known }
}
