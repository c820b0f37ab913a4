/** A tokenizer's trainer as `trainTokenizer` makes it, and images for it. */

import { addon } from '../../dist/native/load.js'
import { Teacher } from '../../dist/teacher/teacher.js'
import { Tokenizer } from '../../dist/tokenizer/tokenizer.js'
import { loadNetworks } from '../../dist/training/tokenizer/networks.js'
import { resolveConfig } from '../../dist/training/tokenizer/presets.js'
import { settle, trainerConfig } from '../../dist/training/tokenizer/settle.js'

/** @param {any} spec: `recipe` is `plain` (MSE and KL), `early` (everything but the discriminator, which waits) or `full` */
export async function createTrainer({
  tokenizer,
  batch,
  precision,
  device = 'cpu',
  graphs,
  recipe,
  discriminatorSize,
  group = null
}) {
  const plain = recipe === 'plain'
  const config = resolveConfig({
    tokenizer,
    batch,
    precision,
    graphs: graphs ?? device !== 'cpu',
    seed: 1,
    masking: { semantic: plain ? 0 : 0.5 },
    align: plain ? { local: false, global: false } : {},
    teacher: { weights: 'dinov2-small' },
    loss: { perceptual: { weights: plain ? null : 'lpips-vgg' } },
    discriminator: { weights: plain ? null : 'dinov2-small', inputSize: discriminatorSize }
  })
  const settled = settle(config, {
    images: batch,
    device,
    teacher: !plain,
    backbone: config.discriminator.weights
  })
  const grid = config.tokenizer.imageSize / config.tokenizer.patchSize
  const teacher = plain ? null : await Teacher.load('dinov2-small', { device, grid, patchSize: null })
  const networks = await loadNetworks(settled, device)
  const network = await Tokenizer.create(config.tokenizer, { device, seed: config.seed })
  const native = teacher?.native ?? null
  const settings = trainerConfig(settled, { device, group })
  const trainer = await addon().createTokenizerTrainer(network.native, native, settings, networks)
  return { config, trainer, teacher, networks }
}

/** The values of one step, constant so that the peer needs no schedule. */
export const stepOptions = (step, recipe) => ({
  step,
  lr: 1e-4,
  weights: {
    reconstruction: 1,
    kl: 1e-6,
    alignment: 0.1,
    perceptual: recipe === 'plain' ? 0 : 1,
    adversarial: recipe === 'full' ? 0.2 : 0
  }
})

/** Smooth images with some noise, uint8 [B, side, side, 3]; different ones for every step. */
export function randomImages(step, batch, side) {
  const noise = addon().uniform(1, 'bench/images', step, 0, batch, side * side * 3)
  return Uint8Array.from(noise, (value, i) => {
    const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / (3 * side)) % side]
    return 128 + 90 * Math.sin((x + (i % 3) * y + 11 * step) / (2 + (i % 5))) + 37 * value
  })
}
