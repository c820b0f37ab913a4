/** Small networks of random weights in the layouts of the real ones, a ViT of DINOv2's and LPIPS on AlexNet, and a training with all of them. */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dist, randomNumbers } from './place.mjs'

const { writeSafetensors } = await import(new URL('weights/index.js', dist).href)

const [width, depth, heads, patch, grid] = [16, 12, 2, 8, 4]

const block = (/** @type {number} */ i) => ({
  [`blocks.${i}.norm1.weight`]: [width],
  [`blocks.${i}.norm1.bias`]: [width],
  [`blocks.${i}.attn.qkv.weight`]: [3 * width, width],
  [`blocks.${i}.attn.qkv.bias`]: [3 * width],
  [`blocks.${i}.attn.proj.weight`]: [width, width],
  [`blocks.${i}.attn.proj.bias`]: [width],
  [`blocks.${i}.ls1.gamma`]: [width],
  [`blocks.${i}.norm2.weight`]: [width],
  [`blocks.${i}.norm2.bias`]: [width],
  [`blocks.${i}.mlp.fc1.weight`]: [4 * width, width],
  [`blocks.${i}.mlp.fc1.bias`]: [4 * width],
  [`blocks.${i}.mlp.fc2.weight`]: [width, 4 * width],
  [`blocks.${i}.mlp.fc2.bias`]: [width],
  [`blocks.${i}.ls2.gamma`]: [width]
})

/** timm's names; deep enough for the discriminator. @type {Record<string, number[]>} */
const vit = {
  cls_token: [1, 1, width],
  pos_embed: [1, 1 + grid * grid, width],
  'patch_embed.proj.weight': [width, 3, patch, patch],
  'patch_embed.proj.bias': [width],
  'norm.weight': [width],
  'norm.bias': [width],
  ...Object.assign({}, ...Array.from({ length: depth }, (_, i) => block(i)))
}

/** Names of the lpips package. @type {Record<string, number[]>} */
const alex = Object.assign(
  {},
  ...[
    { layer: 0, shape: [64, 3, 11, 11] },
    { layer: 3, shape: [192, 64, 5, 5] },
    { layer: 6, shape: [384, 192, 3, 3] },
    { layer: 8, shape: [256, 384, 3, 3] },
    { layer: 10, shape: [256, 256, 3, 3] }
  ].map(({ layer, shape }, i) => ({
    [`net.slice${i + 1}.${layer}.weight`]: shape,
    [`net.slice${i + 1}.${layer}.bias`]: [shape[0]],
    [`lin${i}.model.1.weight`]: [1, shape[0], 1, 1]
  }))
)

/** @param {string} folder @param {Record<string, number[]>} shapes */
async function write(folder, shapes) {
  mkdirSync(folder, { recursive: true })
  const random = randomNumbers(7)
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((product, length) => product * length, 1)
    const inputs = shape.slice(1).reduce((product, length) => product * length, 1)
    const isScale = /norm\d?\.weight|gamma/.test(name)
    // LPIPS weights its distances by positive numbers.
    const offset = isScale ? 1 : name.startsWith('lin') ? 0.5 : 0
    const scale = shape.length > 1 ? Math.sqrt(6 / inputs) : 0.1
    const data = Float32Array.from({ length: size }, () => offset + scale * (random() - 0.5))
    return { name, dtype: 'float32', shape, data }
  })
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
}

/**
 * Writes them, once.
 * @param {string} folder
 */
export async function writeNetworks(folder) {
  const [backbone, perceptual] = [join(folder, 'vit'), join(folder, 'alex')]
  if (!existsSync(join(perceptual, 'model.safetensors'))) {
    await write(backbone, vit)
    writeFileSync(join(backbone, 'config.json'), JSON.stringify({ num_attention_heads: heads }))
    await write(perceptual, alex)
  }
  return { backbone, perceptual }
}

const coder = { width: 32, depth: 1, heads: 2, layerScale: 1 }
export const tokenizer = {
  imageSize: 32,
  patchSize: patch,
  latentTokens: 8,
  latentChannels: 4,
  encoder: coder,
  decoder: coder
}

/**
 * A training with every term of the loss, and with everything that may run beside it.
 * @param {{ backbone: string, perceptual: string }} networks
 */
export const everything = ({ backbone, perceptual }) => ({
  tokenizer,
  batch: 4,
  microBatch: 2,
  checkpointing: true,
  masking: { semantic: 0.5 },
  teacher: { weights: backbone },
  align: { local: true, global: true, hidden: 16 },
  loss: {
    weights: { kl: 1e-4 },
    perceptual: { weights: perceptual, warmup: 5 },
    klAnneal: { kind: 'cyclical', steps: 20 }
  },
  discriminator: { weights: backbone, inputSize: 32, start: 5, adaptive: true },
  optimizer: { lr: 1e-3, warmup: 10 },
  data: { heldOut: 8 }
})
