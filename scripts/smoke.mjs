// What a platform's addon must do (scripts/cross.mjs): node scripts/smoke.mjs <empty folder>
// encodes, decodes, saves and loads a tokenizer and trains it for three steps, and prints the numbers, which are those of every platform
// but for rounding. Images are made here, because sharp is not installed for other platforms.
import { Tokenizer, tensor } from '../dist/index.js'
import { native } from '../dist/native/errors.js'
import { addon } from '../dist/native/load.js'

const [folder] = process.argv.slice(2)
const size = 32
const layers = { width: 32, depth: 2, heads: 2 }
const shape = { imageSize: size, patchSize: 8, latentTokens: 4, latentChannels: 8 }
const count = 4

const tokenizer = await Tokenizer.create({ ...shape, encoder: layers, decoder: layers }, { seed: 7 })
const pixels = Float32Array.from({ length: count * 3 * size * size }, (_, i) => Math.sin(i / 7))
const input = tensor(pixels, [count, 3, size, size])
const latents = await (await tokenizer.encode(input)).data()
await tokenizer.save(folder)
const loaded = await Tokenizer.load(folder)
const again = await loaded.encode(input)
const decoded = await (await loaded.decode(again)).data()

const levels = Uint8Array.from(pixels, (value) => Math.round(127.5 * (1 + value)))
const images = addon().tensor(levels, 'uint8', [count, size, size, 3], 'cpu')
/** @type {Record<'fp32' | 'bf16', number[]>} */
const losses = { fp32: [], bf16: [] }
for (const precision of /** @type {const} */ (['fp32', 'bf16'])) {
  const trained = await Tokenizer.load(folder)
  const trainer = await native(
    addon().createTokenizerTrainer(trained.native, null, {
      seed: 7,
      precision,
      graphs: false,
      masking: { target: 'image', minRatio: -0.1, maxRatio: 0.7, semantic: 0, per: 'image' },
      alignment: { local: false, global: false, shared: false, hidden: 32, on: 'sample' },
      reconstruction: 'mse',
      optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
      ema: { decay: 0.999, warmup: true }
    })
  )
  for (let step = 0; step < 3; step++) {
    await native(trainer.step([images], { step, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0 } }))
    const { total } = await native(trainer.metrics())
    losses[precision].push(Number(total))
  }
}

console.log(
  JSON.stringify({
    platform: `${process.platform}-${process.arch}`,
    equalAfterLoading: Buffer.from((await again.data()).buffer).equals(Buffer.from(latents.buffer)),
    fp32: [...latents.slice(0, 8), decoded.reduce((sum, value) => sum + value ** 2, 0), ...losses.fp32],
    bf16: losses.bf16
  })
)
