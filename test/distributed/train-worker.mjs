// One rank of a job that trains every kind of network for some steps on one global batch; rank 0 writes the states to the file named.
//
//   node train-worker.mjs <file> [--microBatches 2] [--steps 10] [--sharded]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { RankGroup } from '../../dist/distributed/rank-group.js'
import { ranksFromEnvironment } from '../../dist/distributed/ranks.js'
import { native } from '../../dist/native/errors.js'
import { addon } from '../../dist/native/load.js'
import { shareOf } from '../../dist/training/share.js'
import { vitDefaults } from '../support/vit.mjs'

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    microBatches: { type: 'string', default: '1' },
    steps: { type: 'string', default: '10' },
    sharded: { type: 'boolean', default: false }
  }
})
const [file] = positionals
const batch = 8
const size = 32
const patchSize = 8
// What ships, not what the tests load.
delete process.env.MACTOK_ADDON
const { normal, setThreads, tensor, uniform } = addon()
// Networks this small gain nothing from more.
setThreads(1)

/** @param {number[]} shape */
const product = (shape) => shape.reduce((a, b) => a * b, 1)

/** @param {object} [changes] @returns {any} */
const vit = (changes = {}) => ({
  width: 16,
  depth: 2,
  heads: 2,
  ...vitDefaults,
  ...changes
})
const optimizer = { betas: /** @type {[number, number]} */ ([0.9, 0.95]), eps: 1e-8, weightDecay: 0.1, clipNorm: 1 }
const shared = {
  seed: 77,
  precision: /** @type {const} */ ('fp32'),
  graphs: false,
  optimizer,
  ema: { decay: 0.99, warmup: true }
}
const augment = { probability: 0.5, color: true, translation: 0.125, cutout: 0.2 }

/**
 * Gives a network random weights that keep the scale of what passes through it.
 * @param {any} network
 * @param {(name: string) => boolean} select
 */
async function randomise(network, select) {
  const state = network.state()
  for (const [name, { shape }] of Object.entries(state)) {
    if (!select(name)) continue
    const inputs = shape.length > 1 ? product(shape.slice(1)) : 16
    const values = normal(1, `test/${name}`, 0, 0, 1, product(shape))
    state[name] = tensor(
      values.map((value) => value * Math.sqrt(2 / inputs)),
      'float32',
      shape,
      'cpu'
    )
  }
  await network.load(state)
  return network
}

/**
 * Views of the rank's rows, by micro-batch.
 * @param {any} whole
 * @param {import('../../dist/training/share.js').BatchShare} share
 */
function split(whole, share) {
  const count = share.microBatch ?? share.batch
  return Array.from({ length: share.batch / count }, (_, i) => whole.slice(i * count, (i + 1) * count))
}

/**
 * Values [rows, width] of a global batch's rows.
 * @param {any} values
 * @param {number[]} rows
 * @param {number} width
 */
const take = (values, rows, width) => {
  const result = new values.constructor(rows.length * width)
  for (const [i, row] of rows.entries()) result.set(values.subarray(row * width, (row + 1) * width), i * width)
  return result
}

/**
 * @param {RankGroup | null} group
 * @param {import('../../dist/training/share.js').BatchShare} share
 * @param {boolean} decoderOnly
 */
async function tokenizerTrainer(group, share, decoderOnly) {
  /** @type {any} */
  const config = {
    imageSize: size,
    patchSize,
    latentTokens: 4,
    latentChannels: 3,
    bottleneck: 'kl',
    logvarRange: [-30, 20],
    encoder: vit(),
    decoder: vit({ cls: false }),
    prune: true,
    checkpointing: !decoderOnly
  }
  const tokenizer = await addon().createTokenizer(config, 'cpu', 21)
  const teacher = decoderOnly
    ? null
    : await randomise(await addon().createTeacher({ vit: vit(), patchSize, inputSize: size }, 'cpu'), () => true)
  const discriminator = await randomise(
    await addon().createDiscriminator(
      { vit: vit({ depth: 3, layerScale: null }), patchSize, inputSize: size, levels: [0, 2], kernel: 3 },
      'cpu',
      5
    ),
    (name) => name.startsWith('backbone.')
  )
  const perceptual = await randomise(await addon().createPerceptual('alex', 'cpu'), () => true)
  const trainer = await native(
    addon().createTokenizerTrainer(
      tokenizer,
      teacher,
      {
        ...shared,
        group: group?.native ?? null,
        sharded: options.sharded,
        masking: {
          target: decoderOnly ? 'none' : 'image',
          minRatio: -0.1,
          maxRatio: 0.7,
          semantic: decoderOnly ? 0 : 0.5,
          per: 'image'
        },
        alignment: { local: !decoderOnly, global: !decoderOnly, shared: false, hidden: 6, on: 'sample' },
        reconstruction: 'mse',
        decoderOnly,
        discriminator: {
          loss: 'hinge',
          adaptive: true,
          augment,
          strong: { ...augment, probability: 1, cutout: 0.5 },
          consistency: 4,
          lecam: 1e-3,
          lecamDecay: 0.9
        }
      },
      { perceptual, discriminator }
    )
  )
  const alignment = decoderOnly ? 0 : 0.3
  const step = async (/** @type {number} */ index) => {
    const draws = uniform(index, 'test/images', 0, 0, batch, 6)
    const pixels = new Uint8Array(batch * size * size * 3)
    for (let i = 0; i < pixels.length; i++) {
      const row = Math.floor(i / (size * size * 3))
      const [x, y, c] = [Math.floor(i / 3) % size, Math.floor(i / 3 / size) % size, i % 3]
      pixels[i] = 127.5 + 110 * Math.sin(draws[row * 6 + c] * x + draws[row * 6 + 3 + c] * y + c)
    }
    const own = take(pixels, share.rows, size * size * 3)
    const images = tensor(own, 'uint8', [share.batch, size, size, 3], 'cpu')
    const weights = { reconstruction: 1, kl: 1e-4, alignment, perceptual: 1, adversarial: 0.2 }
    await native(trainer.step(split(images, share), { step: index, lr: 1e-4, weights }))
  }
  return { trainer, step }
}

/**
 * @param {RankGroup | null} group
 * @param {import('../../dist/training/share.js').BatchShare} share
 * @param {object} changes
 */
async function flowTrainer(group, share, changes) {
  /** @type {any} */
  const config = {
    model: 'sit',
    latentShape: [12, 8],
    patchSize: 1,
    width: 48,
    depth: 2,
    heads: 4,
    mlpRatio: 4,
    classes: 10,
    learnSigma: false,
    qkNorm: false,
    shift: true,
    checkpointing: false,
    ...changes
  }
  const create = () => addon().createGenerator(config, 'cpu', 17)
  const trainer = await addon().createFlowTrainer(await create(), await create(), {
    ...shared,
    group: group?.native ?? null,
    sharded: options.sharded,
    flow: { path: 'linear', prediction: 'velocity', time: 'data_at_1' },
    labelDropout: 0.5,
    loss: { weighting: 'none', direction: 1 },
    timesteps: { kind: 'lognormal', mean: 0, deviation: 1, shift: 1 }
  })
  const width = product(config.latentShape)
  const step = async (/** @type {number} */ index) => {
    const own = take(normal(index, 'test/latents', 0, 0, batch, width), share.rows, width)
    const latents = split(tensor(own, 'float32', [share.batch, ...config.latentShape], 'cpu'), share)
    const classes = BigInt64Array.from(share.rows, (row) => BigInt((row * 3 + index) % 10))
    const labels = split(tensor(classes, 'int64', [share.batch], 'cpu'), share)
    const parts = latents.map((part, i) => ({ latents: part, labels: labels[i] }))
    await native(trainer.step(parts, { step: index, lr: 1e-3 }))
  }
  return { trainer, step }
}

/** @type {Record<string, (group: RankGroup | null, share: import('../../dist/training/share.js').BatchShare) => Promise<{ trainer: any, step: (index: number) => Promise<void> }>>} */
const kinds = {
  tokenizer: (group, share) => tokenizerTrainer(group, share, false),
  decoder: (group, share) => tokenizerTrainer(group, share, true),
  sit: (group, share) => flowTrainer(group, share, {}),
  lightningDit: (group, share) => flowTrainer(group, share, { model: 'lightning-dit', latentShape: [8, 4, 4] })
}

const ranks = ranksFromEnvironment()
const group = ranks.worldSize > 1 ? await RankGroup.join(ranks, { timeout: 30, sharded: options.sharded }, 'cpu') : null
const parts = Number(options.microBatches)
const share = shareOf({ batch, microBatch: parts > 1 ? batch / parts : null }, ranks)

async function main() {
  /** @type {Record<string, { metrics: object, state: Record<string, string> }>} */
  const results = {}
  for (const [kind, create] of Object.entries(kinds)) {
    const { trainer, step } = await create(group, share)
    for (let index = 0; index < Number(options.steps); index++) await step(index)
    const metrics = await native(trainer.metrics())
    await native(trainer.gather())
    /** @type {Record<string, string>} */
    const state = {}
    // What the ranks divide, only the first one has.
    for (const [name, tensors] of ranks.rank === 0 ? Object.entries(trainer.state()) : []) {
      for (const [key, value] of Object.entries(/** @type {Record<string, any>} */ (tensors))) {
        const floats = new Float32Array(await value.read())
        state[`${name}/${key}`] = Buffer.from(floats.buffer).toString('base64')
      }
    }
    results[kind] = { metrics, state }
    await native(trainer.release())
    trainer.dispose()
  }
  if (ranks.rank === 0) writeFileSync(/** @type {string} */ (file), JSON.stringify(results))
}
await (group ? group.run(main) : main())
