/**
 * One rank of a job that trains a ViT-S tokenizer of 64-pixel images (reconstruction and KL) on one thread, with 4 images per rank.
 * Rank 0 prints { seconds, cpu, memory } of each step (wall clock and this process's CPU time) and after them (bytes), and, with several ranks, { reduced, overlapped }:
 * the seconds of one step in which gradients are reduced, and the part of them in the backward pass.
 */
import { RankGroup } from '../../dist/distributed/rank-group.js'
import { ranksFromEnvironment } from '../../dist/distributed/ranks.js'
import { native } from '../../dist/native/errors.js'
import { addon } from '../../dist/native/load.js'

const batch = Number(process.env.BENCH_BATCH ?? 4)
const steps = Number(process.env.BENCH_STEPS ?? 6)
const sharded = process.env.BENCH_SHARDED === '1'
const size = 64
const vit = {
  width: 384,
  depth: 12,
  heads: 6,
  mlpRatio: 4,
  mlp: /** @type {const} */ ('gelu'),
  layerScale: 1,
  registers: 0,
  positions: /** @type {const} */ ('learned'),
  ropeTheta: 10,
  normEps: 1e-6
}
addon().setThreads(1)
const ranks = ranksFromEnvironment()
const group = ranks.worldSize > 1 ? await RankGroup.join(ranks, { timeout: 120, sharded }, 'cpu') : null

/** @returns {Promise<object>} */
async function main() {
  const tokenizer = await addon().createTokenizer(
    {
      imageSize: size,
      patchSize: 8,
      latentTokens: 32,
      latentChannels: 16,
      bottleneck: 'kl',
      logvarRange: [-30, 20],
      encoder: { ...vit, cls: true },
      decoder: { ...vit, cls: false },
      prune: true,
      checkpointing: false
    },
    'cpu',
    1
  )
  const trainer = await addon().createTokenizerTrainer(tokenizer, null, {
    seed: 1,
    precision: 'fp32',
    graphs: false,
    group: group?.native ?? null,
    sharded,
    masking: { target: 'image', minRatio: 0, maxRatio: 0.7, semantic: 0, per: 'image' },
    alignment: { local: false, global: false, shared: false, hidden: 1, on: 'sample' },
    reconstruction: 'mse',
    optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, clipNorm: 1 },
    ema: { decay: 0.999, warmup: true }
  })
  const pixels = new Uint8Array(batch * size * size * 3).map((_, i) => (i * 37) % 256)
  const images = addon().tensor(pixels, 'uint8', [batch, size, size, 3], 'cpu')
  const step = (/** @type {number} */ index) =>
    native(trainer.step([images], { step: index, lr: 1e-4, weights: { reconstruction: 1, kl: 1e-6, alignment: 0 } }))
  /** @type {number[]} */
  const seconds = []
  /** @type {number[]} */
  const cpu = []
  for (let i = 0; i < steps; i++) {
    const [start, used] = [performance.now(), process.cpuUsage()]
    await step(i)
    const { user, system } = process.cpuUsage(used)
    seconds.push((performance.now() - start) / 1000)
    cpu.push((user + system) / 1e6)
  }
  const memory = process.memoryUsage.rss()
  await addon().startProfile('cpu')
  await step(steps)
  const { names, spans } = await addon().stopProfile('cpu')
  return { seconds: seconds.slice(1), cpu: cpu.slice(1), memory, ...(group && measureOverlap(names, spans)) }
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
      if (names[/** @type {number} */ (spans[i])] === wanted) found.push([spans[i + 3], spans[i + 4]])
    }
    return /** @type {[number, number][]} */ (found).sort(([a], [b]) => a - b)
  }
  const [backward] = /** @type {[[number, number]]} */ (find('phase:backward'))
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
