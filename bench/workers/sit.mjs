/** A training step of SiT from latent shards, as `trainGenerator` makes it. */

import { Generator } from '../../dist/generator/generator.js'
import { LatentShards } from '../../dist/latents/index.js'
import { addon } from '../../dist/native/load.js'
import { latentBatches } from '../../dist/training/generator/latent-batches.js'
import { createFlowTrainer } from './flow-trainer.mjs'
import { answer, readSpec, rounds } from './harness.mjs'

const spec = readSpec()
const { batch, lr, precision, device = 'cpu', graphs = device !== 'cpu' } = spec
const generator = await Generator.load(spec.folder, { device })
const ema = await Generator.load(spec.folder, { device })
const trainer = await createFlowTrainer(generator, ema, { precision, graphs })
const shards = await LatentShards.open(spec.shards, addon())
const statistics = await shards.statistics('channel')
const source = latentBatches(shards, { batch, seed: 0, flip: true, statistics, startStep: 0 })

let number = 0
async function queue() {
  const { value } =
    /** @type {IteratorYieldResult<import('../../dist/training/generator/latent-batches.js').LatentBatch>} */ (
      await source.next()
    )
  const latents = addon().tensor(value.latents, 'float32', [batch, ...generator.config.latentShape], 'cpu')
  const labels = addon().tensor(value.labels, 'int64', [batch], 'cpu')
  const done = trainer.step([{ latents, labels }], { step: number++, lr })
  return done.finally(() => {
    for (const tensor of [latents, labels]) tensor.dispose()
  })
}

const losses = []
for (let i = 0; i < 3; i++) {
  await queue()
  losses.push((await trainer.metrics()).total)
}
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
await source.return()
await answer({ ...measured, losses }, device)
