/** What is compared: for each case its sizes, the workers' settings, and the goals. */

import { generatorPresets } from '../dist/generator/presets.js'
import { sitFlops, tokenizerFlops } from './statistics.mjs'

/** @param {number} width @param {number} depth @param {number} heads */
const vit = (width, depth, heads) => ({ width, depth, heads, layerScale: 1 })

/** A tokenizer with the same ViT on both sides. @param {number} imageSize @param {number} patchSize @param {number} latentTokens @param {ReturnType<typeof vit>} shape */
const tokenizer = (imageSize, patchSize, latentTokens, shape) => ({
  imageSize,
  patchSize,
  latentTokens,
  latentChannels: 16,
  encoder: shape,
  decoder: shape
})

/** After `warmup` steps a process measures `measurements` times; each measurement is `steps` steps, reported per step. */
const tokenizers = {
  tiny: { tokenizer: tokenizer(32, 4, 32, vit(192, 4, 6)), batch: 64, discriminatorSize: 56, steps: 3 },
  'vit-s': { tokenizer: tokenizer(128, 16, 64, vit(384, 12, 6)), batch: 8, discriminatorSize: 224, steps: 1 },
  'vit-b': { tokenizer: tokenizer(256, 16, 128, vit(768, 12, 12)), batch: 2, discriminatorSize: 224, steps: 1 }
}

/** What a GPU is measured with (`--device cuda`), beside the tiny sizes: both ViT-B of `mactok-b-256-128`. */
const gpuTokenizers = Object.fromEntries(
  [32, 128].map((batch) => [
    `vit-b-${batch}`,
    {
      tokenizer: { ...tokenizer(256, 16, 128, vit(768, 12, 12)), latentChannels: 32 },
      batch,
      discriminatorSize: 224,
      steps: 3,
      device: 'cuda'
    }
  ])
)

/** A step of the full recipe takes seconds, so one is a measurement. */
const fullTokenizers = { ...tokenizers, tiny: { ...tokenizers.tiny, steps: 1 }, ...gpuTokenizers }

const generators = {
  tiny: { preset: 'sit-tiny', latentShape: [32, 16], classes: 10, batch: 64, steps: 10 },
  'sit-s': { preset: 'sit-s', latentShape: [64, 32], classes: 1000, batch: 16, steps: 2 },
  'sit-b': { preset: 'sit-b', latentShape: [128, 32], classes: 1000, batch: 8, steps: 1 }
}

const gpuGenerators = Object.fromEntries(
  ['sit-b', 'sit-xl'].flatMap((preset) =>
    [64, 256].map((batch) => [
      `${preset}-${batch}`,
      { preset, latentShape: [128, 32], classes: 1000, batch, steps: 5, device: 'cuda' }
    ])
  )
)

/**
 * Inputs of our kernels, in float32 or in the dtype of products, and the gradient of their outputs. Attention: 24 pairs of heads of
 * size 64, as many as 8 images with 6 heads have.
 */
const [rows, factor] = [
  { shape: [8, 129, 384], dtype: 'float32' },
  { shape: [384], dtype: 'float32' }
]
const product = (/** @type {number[]} */ ...shape) => ({ shape, dtype: 'product' })
const each = { shape: [8, 1, 384], dtype: 'float32' }
const kernels = Object.fromEntries(
  Object.entries({
    linear: [
      [product(8, 129, 384), { shape: [1536, 384], dtype: 'float32' }, { shape: [1536], dtype: 'float32' }],
      product(8, 129, 1536)
    ],
    layerNorm: [[rows, factor, factor], product(8, 129, 384)],
    residual: [[rows, product(8, 129, 384), factor], rows],
    unitDistance: [[product(8, 128, 128, 64)], { shape: [8, 16384], dtype: 'float32' }],
    gelu: [[product(8, 129, 1536)], product(8, 129, 1536)],
    geluTanh: [[product(8, 129, 1536)], product(8, 129, 1536)],
    attention: [[product(24, 129, 384)], product(24, 129, 128)],
    prunedAttention: [[product(24, 64, 128), product(24, 129, 256)], product(24, 64, 128)],
    modulatedNorm: [[rows, each, each], product(8, 129, 384)],
    gatedResidual: [[rows, product(8, 129, 384), each], rows]
  }).map(([kernel, [inputs, upstream]]) => [
    kernel,
    { kernel, inputs, upstream, steps: 50, dtypes: kernel === 'linear' ? ['bf16'] : undefined }
  ])
)

/** Variants of a peer: autocast and fused AdamW in all; attention by SDPA or by batched products. */
export const variants = [
  { name: 'eager', compiled: false, attention: 'sdpa' },
  { name: 'eager, bmm', compiled: false, attention: 'bmm' },
  { name: 'compiled', compiled: true, attention: 'sdpa' },
  { name: 'compiled, bmm', compiled: true, attention: 'bmm' }
]

/** On CUDA devices batched products are slower, and we are measured with and without graphs. */
export const gpuVariants = variants.filter(({ attention }) => attention === 'sdpa')
export const withoutGraphs = { name: 'mactok, no graphs', graphs: false }

/** Largest relative difference, of any loss or of the samples' norm: kernels sum in another order, and bfloat16 has three digits. */
const agreement = { fp32: 1e-3, bf16: 3e-2 }

/** Alignment of untrained heads is near 0: in bfloat16 the peer's is 4 % from the float32 one, ours 1 %. */
const nearZero = { ...agreement, bf16: 6e-2 }

const training = { eager: 1.4, compiled: 1.15 }
const sampling = { guidance: { scale: 2, low: 0.3, high: 0.8 }, sampling: { sampler: 'euler', steps: 50 } }

/**
 * @typedef {object} Case
 * @property {string} about
 * @property {Record<string, any>} sizes
 * @property {string[]} [dtypes]
 * @property {string} worker    bench/workers/<worker>.mjs
 * @property {string} [peer]    bench/peers/<peer>.py; none: only we are measured
 * @property {'tokenizer' | 'generator' | 'encoder'} [fixtures]
 * @property {Record<string, any>} [spec]
 * @property {(size: any) => number} [flops] of one step
 * @property {{ eager?: number, compiled?: number, share?: Record<string, number>, seconds?: number }} goals
 * @property {Record<string, number>} [agreement]
 * @property {boolean} [whole]  a process is one measurement: its wall time from start to end
 * @property {boolean} [eagerOnly]
 * @property {boolean} [cpuOnly]
 * @property {boolean} [graphs]  whether it runs as CUDA graphs too
 * @property {(size: any) => number} [images]  that a measurement makes
 */

/** @type {Record<string, Case>} */
export const cases = {
  tokenizer: {
    about: "tokenizer's training step, MSE and KL",
    sizes: { ...tokenizers, ...gpuTokenizers },
    graphs: true,
    worker: 'tokenizer',
    peer: 'tokenizer',
    fixtures: 'tokenizer',
    agreement,
    spec: { recipe: 'plain' },
    flops: (size) => size.batch * tokenizerFlops(size.tokenizer),
    goals: { share: { tiny: 0.6, 'vit-s': 0.75, 'vit-b': 0.75 } }
  },
  'tokenizer-full': {
    about: "tokenizer's training step, all losses, teacher and discriminator",
    sizes: fullTokenizers,
    graphs: true,
    worker: 'tokenizer',
    peer: 'tokenizer',
    fixtures: 'tokenizer',
    agreement: nearZero,
    spec: { recipe: 'full' },
    goals: training
  },
  'before-disc': {
    about: 'the same before the discriminator starts; the peer computes it at weight 0',
    sizes: fullTokenizers,
    graphs: true,
    worker: 'tokenizer',
    peer: 'tokenizer',
    fixtures: 'tokenizer',
    agreement: nearZero,
    spec: { recipe: 'early' },
    goals: { eager: 2, compiled: 2 }
  },
  encode: {
    about:
      '300 JPEGs (vit-b: 60; with --data, all of it on GPUs) to shards, each image and its mirror image; seconds are of the whole folder',
    worker: 'encode',
    peer: 'encode',
    fixtures: 'encoder',
    agreement: { fp32: 1e-2, bf16: 3e-2 },
    sizes: {
      tiny: { tokenizer: tokenizer(256, 16, 128, vit(192, 2, 6)), batch: 20, steps: 1, goal: 1.5 },
      'vit-b': {
        tokenizer: tokenizer(256, 16, 128, vit(768, 12, 12)),
        batch: 20,
        steps: 1,
        rounds: 1,
        images: 60,
        goal: 1.3
      },
      'vit-b-gpu': {
        tokenizer: gpuTokenizers['vit-b-32'].tokenizer,
        batch: 128,
        steps: 1,
        loaders: 8,
        device: 'cuda'
      }
    },
    images: ({ images = 300 }) => images,
    goals: { eager: 1.3, compiled: 1.3 }
  },
  sit: {
    about: "SiT's training step from shards",
    sizes: { ...generators, ...gpuGenerators },
    graphs: true,
    flops: (size) => size.batch * sitFlops({ ...generatorPresets[size.preset], latentShape: size.latentShape }),
    worker: 'sit',
    peer: 'sit',
    fixtures: 'generator',
    agreement,
    spec: { lr: 1e-4 },
    goals: training
  },
  sampling: {
    about: '50 Euler steps with guidance in an interval',
    sizes: Object.fromEntries(
      Object.entries({ ...generators, ...gpuGenerators }).map(([name, size]) => [
        name,
        { ...size, steps: 1, batch: size.batch / 2 }
      ])
    ),
    graphs: true,
    images: ({ batch }) => batch,
    worker: 'sampling',
    peer: 'sampling',
    fixtures: 'generator',
    agreement: { fp32: 1e-3, bf16: 1e-1 },
    spec: sampling,
    goals: { eager: 1.3, compiled: 1.1 }
  },
  kernels: {
    cpuOnly: true,
    about: 'our fused kernels at the shapes of ViT-S, 8 images of 129 tokens; modulated and gated: of SiT-S',
    sizes: kernels,
    worker: 'kernels',
    peer: 'kernels',
    agreement,
    goals: { eager: 1, compiled: 1 }
  },
  start: {
    cpuOnly: true,
    about: "from the process's start to the first finished training step",
    sizes: { tiny: tokenizers.tiny },
    dtypes: ['bf16'],
    worker: 'start',
    peer: 'start',
    fixtures: 'tokenizer',
    spec: { recipe: 'plain' },
    whole: true,
    eagerOnly: true,
    goals: { eager: 3 }
  },
  help: {
    cpuOnly: true,
    about: '`mactok --help`',
    sizes: { all: {} },
    dtypes: ['fp32'],
    worker: 'help',
    whole: true,
    goals: { seconds: 0.15 }
  }
}

/** What `--quick` measures. */
export const quick = {
  sizes: { tokenizer: ['tiny', 'vit-s'], others: ['tiny', 'all'] },
  /** Steps of the full recipe take seconds, and compiling them minutes. */
  dtypes: { 'tokenizer-full': ['bf16'], 'before-disc': ['bf16'], others: ['bf16', 'fp32'] },
  rounds: 1,
  /** After these the rows that are left are skipped, and named. */
  minutes: 15,
  /** What may be skipped last. */
  order: ['tokenizer', 'sit', 'sampling', 'encode', 'tokenizer-full', 'before-disc', 'start', 'help', 'kernels']
}
