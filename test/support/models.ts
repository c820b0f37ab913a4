/** Models that other implementations are compared on: small, with random weights everywhere. */

import type { GeneratorConfigInput } from '../../lib/generator/schema.js'
import type { TokenizerConfigInput } from '../../lib/tokenizer/schema.js'
import { readSafetensors, type TensorData, writeSafetensors } from '../../lib/weights/index.js'
import { removeChecksums } from './checksums.js'
import { native } from './native.js'

const vit = { width: 32, depth: 2, heads: 4, layerScale: 1 }
/** Small tokenizers, one for each bottleneck and kind of positions. */
export const tokenizers: Record<string, TokenizerConfigInput> = {
  kl: { encoder: vit, decoder: { ...vit, cls: true, layerScale: null } },
  ae: { bottleneck: 'ae', encoder: { ...vit, positions: 'rope' }, decoder: { ...vit, positions: 'rope', cls: true } },
  softvq: {
    bottleneck: 'softvq',
    softvq: { codebooks: 2, codebookSize: 16, temperature: 0.07, normalise: true },
    encoder: { ...vit, cls: false },
    decoder: vit
  }
}
/** What the tokenizers have in common. */
export const images = { imageSize: 32, patchSize: 8, latentTokens: 8, latentChannels: 6 }

/** What the generators have in common. */
export const network = { width: 48, depth: 2, heads: 4, classes: 5 }
const [tokens, grid] = [
  [12, 8],
  [8, 8, 8]
]
/** Small generators, of tokens and of grids. */
export const generators: Record<string, Omit<GeneratorConfigInput, 'classes'>> = {
  sit: { latentShape: tokens },
  'sit-grid': { latentShape: grid, patchSize: 2, learnSigma: true, flow: { path: 'gvp', prediction: 'noise' } },
  'sit-reversed': { latentShape: tokens, flow: { time: 'data_at_0' } },
  'sit-score': { latentShape: tokens, flow: { path: 'vp', prediction: 'score' } },
  'lightning-dit': { model: 'lightning-dit', latentShape: tokens, qkNorm: true },
  'lightning-dit-grid': { model: 'lightning-dit', latentShape: grid, shift: false }
}

/** Normals that depend on the name alone. */
export const normals = (name: string, shape: readonly number[], scale = 1): Float32Array =>
  native()
    .normal(
      1,
      name,
      0,
      0,
      1,
      shape.reduce((product, size) => product * size, 1)
    )
    .map((value) => value * scale)

/** Replaces all weights by random ones: in a new generator gates and last layer are 0, which would hide mistakes. */
export async function randomiseWeights(folder: string): Promise<void> {
  const file = `${folder}/model.safetensors`
  await using opened = await readSafetensors(file)
  const kept = await Promise.all(
    [...opened.tensors.values()].map(async ({ name, shape }): Promise<TensorData> => {
      const isNorm = shape.length === 1 && /norm\w*\.weight$|gamma$/.test(name)
      const random = normals(name, shape, shape.length > 1 ? (shape.at(-1) as number) ** -0.5 : 0.3)
      const changed = isNorm ? random.map((value) => 1 + value) : random
      const data = name === 'pos_embed' ? await opened.float32(name) : changed
      return { name, shape, dtype: 'float32', data }
    })
  )
  await writeSafetensors(file, kept)
  await removeChecksums(`${folder}/config.json`)
}
