/**
 * Compares the model of `mactok estimate` with measured steps on this CPU, one thread each. The rate of other operations is that of
 * copying memory, the rate of products comes from one of the cases, and the others are predicted.
 *
 *   npm run build:ts && node bench/estimate.mjs [--steps 5] [fp32] [bf16]
 *
 * Times are of the processor (user and system), which other work on the machine disturbs less than the clock's.
 */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { resolveGeneratorTraining } from '../dist/training/generator/schema.js'
import { generatorWork } from '../dist/training/generator/work.js'
import { resolveConfig } from '../dist/training/tokenizer/presets.js'
import { tokenizerWork } from '../dist/training/tokenizer/work.js'

const vit = (/** @type {number} */ width, /** @type {number} */ depth, /** @type {number} */ heads) => ({
  width,
  depth,
  heads
})
const tokenizer = (/** @type {object} */ both, imageSize = 128, latentTokens = 64) => ({
  imageSize,
  patchSize: 16,
  latentTokens,
  latentChannels: 32,
  encoder: both,
  decoder: both
})

/** @typedef {{ name: string, fitted?: boolean, kind: 'tokenizer' | 'sit', batch: number, tokenizer?: any, preset?: string, tokens?: number }} Case */

/** @type {Case[]} */
const cases = [
  { name: 'tokenizer, 192 wide', kind: 'tokenizer', batch: 16, tokenizer: tokenizer(vit(192, 4, 3)) },
  { name: 'tokenizer, ViT-B', kind: 'tokenizer', batch: 2, tokenizer: tokenizer(vit(768, 12, 12)) },
  { name: 'tokenizer, ViT-S', fitted: true, kind: 'tokenizer', batch: 8, tokenizer: tokenizer(vit(384, 12, 6)) },
  { name: 'tokenizer, ViT-S, 256 px', kind: 'tokenizer', batch: 2, tokenizer: tokenizer(vit(384, 12, 6), 256, 128) },
  { name: 'SiT-S, 64 tokens', kind: 'sit', batch: 8, preset: 'sit-s', tokens: 64 },
  { name: 'SiT-S, 128 tokens', kind: 'sit', batch: 8, preset: 'sit-s', tokens: 128 },
  { name: 'SiT-B, 128 tokens', kind: 'sit', batch: 2, preset: 'sit-b', tokens: 128 }
]

/** @param {Case} each @param {'fp32' | 'bf16'} precision */
function workOf(each, precision) {
  // In bfloat16 our own kernel for the CPU keeps the weights of attention.
  const attention = precision === 'bf16' ? 'products' : 'fused'
  if (each.kind === 'sit') {
    const config = resolveGeneratorTraining({ preset: each.preset })
    return generatorWork(config, { precision, attention, latentShape: [each.tokens ?? 64, 32], classes: 1000 })
  }
  const config = resolveConfig({
    tokenizer: each.tokenizer,
    masking: { semantic: 0 },
    align: { local: false, global: false },
    teacher: { weights: null }
  })
  return tokenizerWork(config, { precision, attention, adversarial: false })
}

/** Bytes of a line of /proc/self/status. @param {string} name */
const memory = (name) =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024

/** Measures one case in a process of its own. @param {Case & { precision: 'fp32' | 'bf16', steps: number }} spec */
async function measure(spec) {
  const { addon } = await import('../dist/native/load.js')
  addon().setThreads(1)
  const step = spec.kind === 'sit' ? await sitStep(spec) : await tokenizerStep(spec)
  const times = []
  for (let i = 0; i < spec.steps + 2; i++) {
    const before = process.cpuUsage()
    await step.run(i)
    const { user, system } = process.cpuUsage(before)
    // The first steps allocate.
    if (i >= 2) times.push((user + system) / 1e6)
  }
  times.sort((a, b) => a - b)
  const median = times[times.length >> 1]
  process.stdout.write(
    JSON.stringify({ median, low: times[0], high: times.at(-1), memory: memory('VmHWM') - step.before })
  )
  process.exit(0)
}

/** @param {any} spec */
async function tokenizerStep({ tokenizer, batch, precision }) {
  const { addon } = await import('../dist/native/load.js')
  const { createTrainer, randomImages, stepOptions } = await import('./workers/tokenizer-trainer.mjs')
  const before = memory('VmRSS')
  const { trainer } = await createTrainer({ tokenizer, batch, precision, recipe: 'plain' })
  const images = randomImages(0, batch, tokenizer.imageSize)
  const shape = [batch, tokenizer.imageSize, tokenizer.imageSize, 3]
  const run = async (/** @type {number} */ i) => {
    const tensor = addon().tensor(images, 'uint8', shape, 'cpu')
    await trainer.step([tensor], stepOptions(i, 'plain'))
    await trainer.metrics()
    tensor.dispose()
  }
  return { before, run }
}

/** @param {any} spec */
async function sitStep({ preset, tokens, batch, precision }) {
  const { addon } = await import('../dist/native/load.js')
  const { Generator } = await import('../dist/generator/generator.js')
  const { generatorPresets } = await import('../dist/generator/presets.js')
  const { createFlowTrainer } = await import('./workers/flow-trainer.mjs')
  const before = memory('VmRSS')
  const config = { ...generatorPresets[/** @type {'sit-s'} */ (preset)], latentShape: [tokens, 32], classes: 1000 }
  const create = () => Generator.create(config, { device: 'cpu' })
  const trainer = await createFlowTrainer(await create(), await create(), { precision, graphs: false })
  const run = async (/** @type {number} */ i) => {
    const latents = addon().tensor(
      addon().normal(0, 'latents', i, 0, batch, tokens * 32),
      'float32',
      [batch, tokens, 32],
      'cpu'
    )
    const labels = addon().tensor(new BigInt64Array(batch), 'int64', [batch], 'cpu')
    await trainer.step([{ latents, labels }], { step: i, lr: 1e-4 })
    await trainer.metrics()
    for (const tensor of [latents, labels]) tensor.dispose()
  }
  return { before, run }
}

const bytesPerParameter = { optimizer: 44, fp32: 20, bf16: 22 }

/** What the model says that a step moves besides products. @param {Case} each @param {any} work */
const moved = (each, work) => each.batch * work.traffic + bytesPerParameter.optimizer * work.trained

/** Bytes that copying memory reads and writes in a second of the processor. */
function copyRate() {
  const [from, to] = [Buffer.alloc(2 ** 28, 1), Buffer.alloc(2 ** 28, 2)]
  const rates = Array.from({ length: 9 }, () => {
    const before = process.cpuUsage()
    from.copy(to)
    const { user, system } = process.cpuUsage(before)
    return (2 * from.length) / ((user + system) / 1e6)
  })
  return /** @type {number} */ (rates.sort((a, b) => a - b)[4])
}

const apart = (/** @type {number} */ predicted, /** @type {number} */ measured) =>
  `${predicted >= measured ? '+' : '−'}${Math.abs(100 * (predicted / measured - 1)).toFixed(0)} %`

async function main() {
  const steps = Number(process.argv[process.argv.indexOf('--steps') + 1] || 5)
  const asked = process.argv.filter((word) => word === 'fp32' || word === 'bf16')
  for (const precision of /** @type {('fp32' | 'bf16')[]} */ (asked.length > 0 ? asked : ['fp32', 'bf16'])) {
    const rows = []
    for (const each of cases) {
      const spec = JSON.stringify({ ...each, precision, steps: Number.isNaN(steps) ? 5 : steps })
      const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), '--case', spec])
      process.stderr.write(`${each.name} ${precision} ${stdout}\n`)
      const work = workOf(each, precision)
      rows.push({ each, work, ...JSON.parse(stdout), flops: each.batch * work.flops, bytes: moved(each, work) })
    }
    const bandwidth = copyRate()
    const [known] = rows.filter(({ each }) => each.fitted)
    const rate = known.flops / (known.median - known.bytes / bandwidth)
    process.stdout.write(
      `\n${precision}: products ${(rate / 1e9).toFixed(0)} GFLOP/s, other operations ${(bandwidth / 1e9).toFixed(1)} GB/s\n\n` +
        '| case | batch | step, predicted | measured (lowest to highest) | apart | memory, predicted | measured | apart |\n' +
        '| --- | --- | --- | --- | --- | --- | --- | --- |\n'
    )
    for (const { each, work, flops, bytes, median, low, high, memory: peak } of rows) {
      const seconds = flops / rate + bytes / bandwidth
      const size = bytesPerParameter[precision] * work.trained + each.batch * work.activations
      const cells = [
        each.name,
        each.batch,
        each.fitted ? 'fitted' : `${seconds.toFixed(2)} s`,
        `${median.toFixed(2)} s (${low.toFixed(2)} to ${high.toFixed(2)})`,
        each.fitted ? '' : apart(seconds, median),
        `${(size / 1e6).toFixed(0)} MB`,
        `${(peak / 1e6).toFixed(0)} MB`,
        apart(size, peak)
      ]
      process.stdout.write(`| ${cells.join(' | ')} |\n`)
    }
  }
}

const at = process.argv.indexOf('--case')
if (at > 0) await measure(JSON.parse(process.argv[at + 1] ?? ''))
else await main()
