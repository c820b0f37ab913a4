/**
 * Training steps on one thread, by one of some ranks or of some processes that only share the machine (`exchange`: false). The first
 * prints the seconds by the clock and of its CPU time of each step, and by how many bytes it has grown; of ranks also the seconds of
 * the same number of further steps in which gradients are reduced, those of them that lie in the backward pass, and those waited for.
 */
import { readFileSync } from 'node:fs'
import { RankGroup } from '../../dist/distributed/rank-group.js'
import { ranksFromEnvironment } from '../../dist/distributed/ranks.js'
import { Generator } from '../../dist/generator/generator.js'
import { generatorPresets } from '../../dist/generator/presets.js'
import { native } from '../../dist/native/errors.js'
import { addon } from '../../dist/native/load.js'
import { createFlowTrainer } from './flow-trainer.mjs'
import { createTrainer, randomImages, stepOptions } from './tokenizer-trainer.mjs'

const spec = JSON.parse(process.argv[2])
addon().setThreads(1)
const ranks = ranksFromEnvironment()
const group = spec.exchange
  ? await RankGroup.join(ranks, { timeout: 300, sharded: spec.sharded ?? false }, 'cpu')
  : null

/** Bytes of a line of /proc/self/status. @param {string} name */
const memory = (name) =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024

async function tokenizerStep({ tokenizer, batch, precision }, group) {
  const { trainer } = await createTrainer({ tokenizer, batch, precision, recipe: 'plain', group })
  const images = randomImages(0, batch, tokenizer.imageSize)
  const shape = [batch, tokenizer.imageSize, tokenizer.imageSize, 3]
  return async (i) => {
    const tensor = addon().tensor(images, 'uint8', shape, 'cpu')
    await native(trainer.step([tensor], stepOptions(i, 'plain')))
    await trainer.metrics()
    tensor.dispose()
  }
}

async function sitStep({ preset, tokens, batch, precision }, group) {
  const config = { ...generatorPresets[preset], latentShape: [tokens, 32], classes: 1000 }
  const create = () => Generator.create(config, { device: 'cpu' })
  const trainer = await createFlowTrainer(await create(), await create(), { precision, graphs: false, group })
  const shape = [batch, tokens, 32]
  return async (i) => {
    const values = addon().normal(0, 'latents', i, 0, batch, tokens * 32)
    const latents = addon().tensor(values, 'float32', shape, 'cpu')
    const labels = addon().tensor(new BigInt64Array(batch), 'int64', [batch], 'cpu')
    await native(trainer.step([{ latents, labels }], { step: i, lr: 1e-4 }))
    await trainer.metrics()
    for (const tensor of [latents, labels]) tensor.dispose()
  }
}

/** What any first step needs is no memory of the case: code, and the libraries' own buffers. */
async function warmUp() {
  const vit = { width: 64, depth: 1, heads: 1 }
  const tokenizer = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 2, encoder: vit, decoder: vit }
  const step = await tokenizerStep({ tokenizer, batch: 1, precision: spec.precision }, null)
  await step(0)
}

async function main() {
  await warmUp()
  const before = memory('VmRSS')
  const step = await (spec.kind === 'sit' ? sitStep : tokenizerStep)(spec, group)
  const [seconds, cpu] = [[], []]
  for (let i = 0; i < spec.steps + 2; i++) {
    const [start, used] = [performance.now(), process.cpuUsage()]
    await step(i)
    const { user, system } = process.cpuUsage(used)
    // The first steps allocate.
    if (i < 2) continue
    seconds.push((performance.now() - start) / 1e3)
    cpu.push((user + system) / 1e6)
  }
  const grown = memory('VmHWM') - before
  if (!group) return { seconds, cpu, memory: grown }
  const overlap = { reductions: 0, reduced: 0, overlapped: 0, waited: 0 }
  for (let i = 0; i < spec.steps; i++) {
    await addon().startProfile('cpu')
    await step(spec.steps + 2 + i)
    const { names, spans } = await addon().stopProfile('cpu')
    for (const [name, value] of Object.entries(measureOverlap(names, spans))) overlap[name] += value
  }
  return { seconds, cpu, memory: grown, ...overlap }
}

/**
 * @param {string[]} names
 * @param {Float64Array} spans
 */
function measureOverlap(names, spans) {
  /** @param {string} wanted */
  const find = (wanted) => {
    const found = []
    for (let i = 0; i < spans.length; i += 5) {
      if (names[spans[i]] === wanted) found.push([spans[i + 3], spans[i + 4]])
    }
    return found.sort(([a], [b]) => a - b)
  }
  const [backward] = find('phase:backward')
  const [during, after] = [find('gloo:all_reduce'), find('phase:reduction')]
  let [reduced, overlapped, end] = [0, 0, 0]
  // Those of several buckets overlap each other, too.
  for (const [first, last] of during) {
    const begin = Math.max(first, end)
    if (begin >= last) continue
    reduced += last - begin
    overlapped += Math.max(0, Math.min(last, backward[1]) - Math.max(begin, backward[0]))
    end = last
  }
  const waited = after.reduce((sum, [first, last]) => sum + last - first, 0)
  return { reductions: during.length, reduced: reduced / 1e6, overlapped: overlapped / 1e6, waited: waited / 1e6 }
}

const result = await (group ? group.run(main) : main())
if (ranks.rank === 0) console.log(JSON.stringify(result))
process.exit(0)
