// One rank of a job that trains for a step and evaluates; rank 1 is killed when it reads an image in the middle of the evaluation.
//
//   node evaluation-worker.mjs <images> <held-out images> <run folder>
import { imageFolder, trainTokenizer } from '../../dist/index.js'

// What ships, not what the tests load.
delete process.env.MACTOK_ADDON
const [photos, held, dir] = /** @type {[string, string, string]} */ (/** @type {unknown} */ (process.argv.slice(2)))
const heldOut = {
  name: held,
  open: async () => {
    const set = await imageFolder(held).open()
    return {
      name: set.name,
      size: set.size,
      classes: set.classes,
      ignored: set.ignored,
      sample: (/** @type {number} */ index) => set.sample(index),
      read: async (/** @type {number} */ index) => {
        if (process.env.RANK === '1' && index >= 7) {
          console.log('killed')
          process.kill(process.pid, 'SIGKILL')
        }
        return set.read(index)
      },
      close: () => set.close()
    }
  }
}
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
try {
  await trainTokenizer({
    tokenizer: { imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    batch: 6,
    steps: 2,
    masking: { semantic: 0 },
    align: { local: false, global: false },
    grid: { every: null },
    evaluation: { every: 1, batch: 1 }
  })
    .data(photos, { heldOut })
    .distributed({ timeout: 30 })
    .run({ dir, device: 'cpu' })
} catch (error) {
  console.error(`error: ${/** @type {Error} */ (error).message}`)
  process.exitCode = 1
}
