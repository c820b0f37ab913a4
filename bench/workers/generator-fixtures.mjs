/** Weights, shards and a few steps' draws that we and the peer share. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Generator } from '../../dist/generator/generator.js'
import { generatorPresets } from '../../dist/generator/presets.js'
import { LatentShards, openLatentWriter } from '../../dist/latents/index.js'
import { addon } from '../../dist/native/load.js'
import { latentBatches } from '../../dist/training/generator/latent-batches.js'
import { writeSafetensors } from '../../dist/weights/writer.js'

const STEPS = 3

/** Writes what both sides need into `folder` and returns the paths for their specs. `images`: latents in the shards. */
export async function writeGeneratorFixtures(folder, { preset, latentShape, classes, batch, images = 2048 }) {
  await mkdir(folder, { recursive: true })
  const { normal, uniform } = addon()
  const config = { ...generatorPresets[preset], latentShape, classes }
  const generator = await Generator.create(config, { device: 'cpu' })
  const state = generator.native.state()
  for (const [name, tensor] of Object.entries(state)) {
    // Weights that start at zero would hide the blocks from the losses that are compared.
    if (!/adaLN_modulation|final_layer/.test(name)) continue
    const count = tensor.shape.reduce((product, size) => product * size, 1)
    const values = normal(1, name, 0, 0, 1, count).map((value) => value * 0.02)
    state[name] = addon().tensor(values, 'float32', [...tensor.shape], 'cpu')
  }
  await generator.native.load(state)
  await generator.save(join(folder, 'generator'))

  const shards = join(folder, 'shards')
  const size = latentShape[0] * latentShape[1]
  const writer = await openLatentWriter(shards, {
    names: Array.from({ length: images }, (_, i) => `${i}`),
    labels: Array.from({ length: images }, (_, i) => i % classes),
    classes: Array.from({ length: classes }, (_, i) => `${i}`),
    shape: latentShape,
    dtype: 'float32',
    moments: false,
    shardSize: 1024,
    tokenizer: 'bench'
  })
  for (const range of writer.missingShards()) {
    const shard = writer.startShard(range)
    const indices = Array.from({ length: range.end - range.first }, (_, i) => range.first + i)
    const draw = (name) => normal(2, name, range.index, 0, indices.length, size)
    shard.add({ indices, latents: draw('latents'), latentsFlip: draw('flip') })
    await shard.commit()
  }
  if (writer.missingShards().length === 0) await writer.finish()

  // The first steps' draws, as our trainer makes them (native/train/flow_step.cpp).
  const known = { latents: [], labels: [], noise: [], times: [] }
  const opened = await LatentShards.open(shards, addon())
  const statistics = await opened.statistics('channel')
  const source = latentBatches(opened, { batch, seed: 0, flip: true, statistics, startStep: 0 })
  for (let step = 0; step < STEPS; step++) {
    const { value } =
      /** @type {IteratorYieldResult<import('../../dist/training/generator/latent-batches.js').LatentBatch>} */ (
        await source.next()
      )
    const dropped = uniform(0, 'label', step, 0, batch, 1)
    known.latents.push(value.latents)
    known.labels.push(value.labels.map((label, i) => (dropped[i] < 0.1 ? BigInt(classes) : label)))
    known.noise.push(normal(0, 'noise', step, 0, batch, size))
    known.times.push(uniform(0, 'time', step, 0, batch, 1))
  }
  await source.return()
  await opened.close()
  const stacked = (name, dtype, ...shape) => ({
    name,
    dtype,
    shape: [STEPS, batch, ...shape],
    data: joined(known[name])
  })
  await writeSafetensors(join(folder, 'training.safetensors'), [
    stacked('latents', 'float32', ...latentShape),
    stacked('labels', 'int64'),
    stacked('noise', 'float32', ...latentShape),
    stacked('times', 'float32')
  ])
  const labels = BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % classes))
  await writeSafetensors(join(folder, 'sampling.safetensors'), [
    {
      name: 'noise',
      dtype: 'float32',
      shape: [batch, ...latentShape],
      data: normal(0, 'sample/noise', 0, 0, batch, size)
    },
    { name: 'labels', dtype: 'int64', shape: [batch], data: labels }
  ])
  return {
    generator: config,
    folder: join(folder, 'generator'),
    weights: join(folder, 'generator', 'model.safetensors'),
    shards
  }
}

function joined(arrays) {
  const all = new arrays[0].constructor(arrays.length * arrays[0].length)
  for (const [i, array] of arrays.entries()) all.set(array, i * array.length)
  return all
}
