/**
 * Compares the model of `mactok estimate` with measured steps on this CPU, of one thread: by a rank of its own, beside another such
 * process, as both share the machine's memory; and by two ranks. The rate of other operations is that of copying memory, those of
 * products and of the exchange of gradients come from one case each, and the rest is predicted.
 *
 *   npm run build:ts && node bench/estimate.mjs [--steps 5] [fp32] [bf16]
 *
 * Times are by the clock, on a machine that does nothing else; those of the processor stand beside them.
 */

import { resolveGeneratorTraining } from '../dist/training/generator/schema.js'
import { generatorWork } from '../dist/training/generator/work.js'
import { resolveConfig } from '../dist/training/tokenizer/presets.js'
import { tokenizerWork } from '../dist/training/tokenizer/work.js'
import { launchRanks } from './launch-ranks.mjs'
import { median } from './statistics.mjs'

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

/** @typedef {{ name: string, fitted?: 'products' | 'exchange', kind: 'tokenizer' | 'sit', batch: number, tokenizer?: any, preset?: string, tokens?: number }} Case */

/** `batch` is that of a rank. @type {Case[]} */
const cases = [
  { name: 'tokenizer, 192 wide', kind: 'tokenizer', batch: 16, tokenizer: tokenizer(vit(192, 4, 3)) },
  { name: 'tokenizer, ViT-B', fitted: 'exchange', kind: 'tokenizer', batch: 2, tokenizer: tokenizer(vit(768, 12, 12)) },
  { name: 'tokenizer, ViT-S', fitted: 'products', kind: 'tokenizer', batch: 8, tokenizer: tokenizer(vit(384, 12, 6)) },
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

const bytesPerParameter = { optimizer: 44, gradient: 4, fp32: 20, bf16: 22 }

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
  return median(rates)
}

const apart = (/** @type {number} */ predicted, /** @type {number} */ measured) =>
  `${predicted >= measured ? '+' : '−'}${Math.abs(100 * (predicted / measured - 1)).toFixed(0)} %`

/** @param {'fp32' | 'bf16'} precision @param {number} steps */
async function compare(precision, steps) {
  const rows = []
  for (const ranks of [1, 2]) {
    for (const each of cases) {
      const measured = await launchRanks(2, { ...each, precision, steps, exchange: ranks > 1 })
      console.error(`${each.name}, ${precision}, ${ranks} rank(s): ${JSON.stringify(measured)}`)
      const work = workOf(each, precision)
      const flops = each.batch * work.flops
      rows.push({ ...{ each, ranks, work, flops }, bytes: moved(each, work), ...measured })
    }
  }
  const bandwidth = copyRate()
  const [products] = rows.filter(({ each }) => each.fitted === 'products')
  const [one, two] = rows.filter(({ each }) => each.fitted === 'exchange')
  const rate = products.flops / (median(products.seconds) - products.bytes / bandwidth)
  const exchange = (bytesPerParameter.gradient * two.work.trained) / (median(two.seconds) - median(one.seconds))
  const rates = [
    `products ${(rate / 1e9).toFixed(0)} GFLOP/s`,
    `other operations ${(bandwidth / 1e9).toFixed(1)} GB/s`,
    `gradients of two ranks ${(exchange / 1e9).toFixed(2)} GB/s`
  ]
  console.log(
    `\n${precision}: ${rates.join(', ')}\n\n` +
      '| case | ranks | batch of each | step, predicted | measured (lowest to highest) | apart | of the processor | memory, predicted | measured | apart |\n' +
      `|${' --- |'.repeat(10)}`
  )
  for (const { each, ranks, work, flops, bytes, seconds, cpu, memory } of rows) {
    const exchanged = ranks > 1 ? (bytesPerParameter.gradient * work.trained) / exchange : 0
    const predicted = flops / rate + bytes / bandwidth + exchanged
    const size = bytesPerParameter[precision] * work.trained + each.batch * work.activations
    const isFitted = each.fitted === (ranks > 1 ? 'exchange' : 'products')
    const cells = [
      each.name,
      ranks,
      each.batch,
      isFitted ? 'fitted' : `${predicted.toFixed(2)} s`,
      `${median(seconds).toFixed(2)} s (${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)})`,
      isFitted ? '' : apart(predicted, median(seconds)),
      `${median(cpu).toFixed(2)} s`,
      `${(size / 1e6).toFixed(0)} MB`,
      `${(memory / 1e6).toFixed(0)} MB`,
      apart(size, memory)
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

const at = process.argv.indexOf('--steps')
const steps = at > 0 ? Number(process.argv[at + 1]) : 5
const asked = process.argv.filter((word) => word === 'fp32' || word === 'bf16')
for (const precision of /** @type {('fp32' | 'bf16')[]} */ (asked.length > 0 ? asked : ['fp32', 'bf16'])) {
  await compare(precision, steps)
}
