/** Guided samples of SiT. */

import { Generator } from '../../dist/generator/generator.js'
import { answer, readSpec, rounds } from './harness.mjs'

const spec = readSpec()
const { precision, guidance, sampling, batch, device = 'cpu' } = spec
const generator = await Generator.load(spec.folder, { device, precision })
const classes = Array.from({ length: batch }, (_, i) => i % generator.config.classes)

async function draw() {
  const { latents } = await generator.sample({ ...sampling, guidance, classes, seed: 0, graphs: device !== 'cpu' })
  const values = await latents.data()
  latents.dispose()
  return values
}

const samples = await draw()
const every = Math.max(1, Math.floor(samples.length / 64))
answer({
  seconds: await rounds({ ...spec, warmup: 0, steps: 1 }, draw),
  samples: Array.from(samples).filter((_, i) => i % every === 0)
})
