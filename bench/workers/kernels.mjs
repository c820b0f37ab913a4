/** A forward and backward pass of one of our kernels. */

import { addon } from '../../dist/native/load.js'
import { answer, readSpec, rounds } from './harness.mjs'

// The addon with native/testing, which is read when it is first called.
process.env.MACTOK_ADDON = 'mactok_testing'

const testing = () => /** @type {any} */ (addon())

const { kernel, inputs, upstream, steps, ...spec } = readSpec()
const products = spec.precision === 'bf16' ? 'bfloat16' : 'float32'

/** The peer's too: a smooth function of the element's index and a phase. @param {{ shape: number[], dtype: string }} of @param {number} phase */
function values({ shape, dtype }, phase) {
  const count = shape.reduce((product, size) => product * size, 1)
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(0.37 * i + phase))
  return addon()
    .tensor(data, 'float32', shape, 'cpu')
    .to('cpu', dtype === 'product' ? products : dtype)
}

const given = await Promise.all(inputs.map(values))
const gradient = await values(upstream, 9)
const seconds = []
const { settled } = await rounds({ ...spec, warmup: 1, steps: 1 }, async () => {
  seconds.push(await testing().timeKernel(kernel, given, gradient, spec.precision, steps))
})
const results = await testing().runKernel(kernel, given, gradient, spec.precision)
const norms = await Promise.all(
  results.map(async (result) => Math.hypot(...new Float64Array(await result.read()).slice(0, 4096)))
)
await answer({ seconds: seconds.slice(-spec.rounds), settled, losses: norms.slice(0, 2) })
