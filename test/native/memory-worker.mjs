// Prints the resident memory, in MiB, of this process before, at the peak of and after one use of a model:
// node memory-worker.mjs trainer|idle|disposed '{ device, tokenizer, trainer }'
import { setTimeout } from 'node:timers/promises'
import { addon } from '../../dist/native/load.js'

/** @typedef {import('../../lib/native/addon.js').NativeTokenizer} Model */

const [use = '', settings = ''] = process.argv.slice(2)
const { device, tokenizer: config, trainer: training } = JSON.parse(settings)
const native = /** @type {import('../support/testing-addon.js').TestingAddon} */ (addon())
const megabytes = () => process.memoryUsage.rss() / 2 ** 20
const engineIsIdle = () => native.engineThreads(device) // waits for the jobs before it
const createModel = () => native.createTokenizer(config, device, 1)

const uniform = native.uniform(1, 'pixels', 0, 0, 256, 768)
const bytes = Uint8Array.from(uniform, (value) => value * 256)
/** @param {number} count */
const imagesOf = (count) => native.tensor(bytes.subarray(0, count * 768), 'uint8', [count, 16, 16, 3], device)

/** @param {Model} model */
async function train(model) {
  const trainer = await native.createTokenizerTrainer(model, null, training)
  const images = imagesOf(64)
  await trainer.step([images], { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0 } })
  const used = megabytes()
  images.dispose()
  trainer.dispose()
  await engineIsIdle()
  return used
}

/** @param {Model} model */
async function encode(model) {
  const images = imagesOf(256)
  const latents = await model.encode(images, null, { precision: 'fp32', sample: false, seed: 0, indices: [] })
  const used = megabytes()
  for (const tensor of [images, latents]) tensor.dispose()
  return used
}

// Each but idle is done once before it is measured: the first one takes what loading keeps.
/** @type {Record<string, () => Promise<{ before: number, used: number, after: number }>>} */
const uses = {
  async trainer() {
    const model = await createModel()
    await train(model)
    const before = megabytes()
    const used = await train(model)
    return { before, used, after: megabytes() }
  },
  async idle() {
    // Long enough for the memory to be measured before it goes back.
    const idle = 2000
    native.releaseWhenIdle(idle)
    const model = await createModel()
    let [before, since] = [megabytes(), performance.now()]
    while (performance.now() - since < 2 * idle) {
      await setTimeout(100)
      if (megabytes() < before - 1) [before, since] = [megabytes(), performance.now()]
    }
    const used = await encode(model)
    let after = megabytes()
    for (let tries = 0; tries < 600 && after - before >= (used - before) / 4; tries++) {
      await setTimeout(100)
      after = megabytes()
    }
    return { before, used, after }
  },
  async disposed() {
    native.releaseWhenIdle(600_000)
    const once = async () => {
      const model = await createModel()
      const used = await encode(model)
      model.dispose()
      await engineIsIdle()
      return used
    }
    await once()
    const before = megabytes()
    const used = await once()
    return { before, used, after: megabytes() }
  }
}

console.log(JSON.stringify(await uses[use]?.()))
