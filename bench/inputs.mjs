/** Inputs for machines that have none: weights of the right shapes with random values, and images cut from the example photographs. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { writeSafetensors } from '../dist/weights/writer.js'

const PHOTOS = fileURLToPath(new URL('../examples/photos/', import.meta.url))

/** LPIPS's VGG-16: each convolution's slice, its place in the network, inputs and outputs. */
const CONVOLUTIONS = [
  [1, 0, 3, 64],
  [1, 2, 64, 64],
  [2, 5, 64, 128],
  [2, 7, 128, 128],
  [3, 10, 128, 256],
  [3, 12, 256, 256],
  [3, 14, 256, 256],
  [4, 17, 256, 512],
  [4, 19, 512, 512],
  [4, 21, 512, 512],
  [5, 24, 512, 512],
  [5, 26, 512, 512],
  [5, 28, 512, 512]
]

/** DINOv2-S/14 as Hugging Face publishes it. */
const DINOV2 = {
  model_type: 'dinov2',
  hidden_size: 384,
  num_hidden_layers: 12,
  num_attention_heads: 6,
  mlp_ratio: 4,
  patch_size: 14,
  image_size: 518,
  layer_norm_eps: 1e-6,
  layerscale_value: 1,
  qkv_bias: true,
  use_swiglu_ffn: false,
  hidden_act: 'gelu',
  num_channels: 3
}

/** Makes a folder complete or not at all. @param {string} folder @param {(partial: string) => Promise<unknown>} make */
async function once(folder, make) {
  if (existsSync(folder)) return
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  await make(partial)
  renameSync(partial, folder)
}

/** Uniform values in [-1, 1), the same in every run. */
function* uniform(seed = 1) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield state / 2 ** 31 - 1
  }
}

/** @param {[name: string, shape: number[], scale: number, mean?: number][]} tensors */
function randomTensors(tensors) {
  const values = uniform()
  return tensors.map(([name, shape, scale, mean = 0]) => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
    for (let i = 0; i < data.length; i++) data[i] = mean + scale * Number(values.next().value)
    return { name, dtype: /** @type {const} */ ('float32'), shape, data: async () => data }
  })
}

/** Writes dinov2-small and lpips-vgg with random values: they cost what the real ones do. @param {string} folder */
export async function makeWeights(folder) {
  await once(join(folder, 'lpips-vgg'), (partial) => {
    const tensors = CONVOLUTIONS.flatMap(([slice, place, inputs, outputs]) => {
      const name = `net.slice${slice}.${place}`
      /** @type {[string, number[], number][]} */
      const both = [
        [`${name}.weight`, [outputs, inputs, 3, 3], Math.sqrt(6 / (9 * inputs))],
        [`${name}.bias`, [outputs], 0.01]
      ]
      return both
    })
    const levels = [64, 128, 256, 512, 512]
    return writeSafetensors(
      join(partial, 'model.safetensors'),
      randomTensors([
        ...tensors,
        ...levels.map(
          (width, i) =>
            /** @type {[string, number[], number, number]} */ ([`lin${i}.model.1.weight`, [1, width, 1, 1], 0.1, 0.1])
        )
      ])
    )
  })
  await once(join(folder, 'dinov2-small'), async (partial) => {
    const { hidden_size: width, num_hidden_layers: depth } = DINOV2
    /** @param {string} name @param {number} outputs @param {number} inputs @returns {[string, number[], number][]} */
    const linear = (name, outputs, inputs) => [
      [`${name}.weight`, [outputs, inputs], 0.04],
      [`${name}.bias`, [outputs], 0.01]
    ]
    /** @param {string} name @returns {[string, number[], number, number][]} */
    const norm = (name) => [
      [`${name}.weight`, [width], 0.1, 1],
      [`${name}.bias`, [width], 0.01, 0]
    ]
    const blocks = Array.from({ length: depth }, (_, i) => `encoder.layer.${i}`).flatMap((block) => [
      ...norm(`${block}.norm1`),
      ...['query', 'key', 'value'].flatMap((part) => linear(`${block}.attention.attention.${part}`, width, width)),
      ...linear(`${block}.attention.output.dense`, width, width),
      /** @type {[string, number[], number, number]} */ ([`${block}.layer_scale1.lambda1`, [width], 0.1, 0.5]),
      ...norm(`${block}.norm2`),
      ...linear(`${block}.mlp.fc1`, 4 * width, width),
      ...linear(`${block}.mlp.fc2`, width, 4 * width),
      /** @type {[string, number[], number, number]} */ ([`${block}.layer_scale2.lambda1`, [width], 0.1, 0.5])
    ])
    await writeSafetensors(
      join(partial, 'model.safetensors'),
      randomTensors([
        ['embeddings.cls_token', [1, 1, width], 0.02],
        ['embeddings.mask_token', [1, width], 0.02],
        ['embeddings.position_embeddings', [1, 37 * 37 + 1, width], 0.02],
        ['embeddings.patch_embeddings.projection.weight', [width, 3, 14, 14], 0.04],
        ['embeddings.patch_embeddings.projection.bias', [width], 0.01],
        ...blocks,
        ...norm('layernorm')
      ])
    )
    writeFileSync(join(partial, 'config.json'), JSON.stringify(DINOV2))
  })
}

/** Cuts JPEGs of the size of ImageNet's, 375 × 500, from the photographs: a class folder for each. @param {string} folder @param {number} count */
export const makeImages = (folder, count) =>
  once(folder, async (partial) => {
    const photos = readdirSync(PHOTOS).filter((name) => name.endsWith('.jpg'))
    const places = uniform()
    const place = (/** @type {number} */ room) => Math.floor(((Number(places.next().value) + 1) / 2) * (room + 1))
    for (const [i, name] of photos.entries()) {
      const large = await sharp(join(PHOTOS, name)).resize(700, 700, { fit: 'cover' }).toBuffer()
      mkdirSync(join(partial, name.replace('.jpg', '')))
      for (let j = 0; i + j * photos.length < count; j++) {
        await sharp(large)
          .extract({ left: place(200), top: place(325), width: 500, height: 375 })
          .jpeg({ quality: 92 })
          .toFile(join(partial, name.replace('.jpg', ''), `${j}.jpg`))
      }
    }
  })
