/** A training step of a tokenizer. */

import { addon } from '../../dist/native/load.js'
import { answer, readSpec, rounds } from './harness.mjs'
import { createTrainer, randomImages, stepOptions } from './tokenizer-trainer.mjs'

const spec = readSpec()
const { batch, recipe, tokenizer, device = 'cpu' } = spec
const { trainer } = await createTrainer(spec)
const shape = [batch, tokenizer.imageSize, tokenizer.imageSize, 3]

let number = 0
let current
function queue() {
  const images = addon().tensor(current ?? randomImages(number, batch, tokenizer.imageSize), 'uint8', shape, 'cpu')
  return trainer.step([images], stepOptions(number++, recipe)).finally(() => images.dispose())
}

const terms = ['reconstruction', 'kl', ...(recipe === 'plain' ? [] : ['alignLocal', 'alignGlobal', 'perceptual'])]
const losses = []
// Only the first step of the full recipe is compared with the peer's: later ones depend on the augmentation's draws.
for (let i = 0; i < (recipe === 'full' ? 1 : 3); i++) {
  await queue()
  const metrics = await trainer.metrics()
  losses.push(...terms.map((term) => metrics[term]))
}
current = randomImages(0, batch, tokenizer.imageSize)
// As in training, one step waits behind the one that runs.
let running = Promise.resolve()
const step = async () => {
  const queued = queue()
  await running
  running = queued
}
// The metrics are the last thing that a step computes.
const measured = await rounds(spec, step, device === 'cpu' ? undefined : () => trainer.metrics())
await running
await answer({ ...measured, losses }, device)
