/** Guided samples of SiT. */

import { Generator } from '../../dist/generator/generator.js'
import { answer, readSpec, rounds } from './harness.mjs'

const spec = readSpec()
const { precision, guidance, sampling, batch, device = 'cpu', graphs = device !== 'cpu' } = spec
const generator = await Generator.load(spec.folder, { device, precision })
const classes = Array.from({ length: batch }, (_, i) => i % generator.config.classes)

async function draw() {
  const { latents } = await generator.sample({ ...sampling, guidance, classes, seed: 0, graphs })
  const values = await latents.data()
  latents.dispose()
  return values
}

const samples = await draw()
const every = Math.max(1, Math.floor(samples.length / 64))
const measured = await rounds({ ...spec, warmup: 1, steps: 1 }, draw)
await answer({ ...measured, samples: Array.from(samples).filter((_, i) => i % every === 0) }, device)
