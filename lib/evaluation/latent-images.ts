/** Images of what latents do: single tokens perturbed, and interpolations between images. */

import { join } from 'node:path'
import type { Image } from '../data/decode.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import { grid, writePng } from '../data/image.js'
import type { ImageSource } from '../data/image-set.js'
import { sliceImages, toLevels } from '../data/levels.js'
import { spread } from '../data/spread.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { tensor } from '../tensor/tensor.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { LatentSamples } from './latent-samples.js'

/** What a token does to an image when it moves along its main direction. */
export interface TokenControl {
  token: number
  /** Standard deviation along that direction. */
  deviation: number
  /** Mean change of a pixel between −3 and +3 deviations, in levels of 255. */
  influence: number
  /** The change's centre of mass, from 0 to 1 rightwards and downwards. */
  centre: { x: number; y: number }
}

const moves = [-3, -1.5, 0, 1.5, 3]
const imageCount = 2

const zoomOf = (size: number) => Math.max(1, Math.floor(96 / size))

/** Encodes `count` images spread over the source. */
async function encodeSome(tokenizer: Tokenizer, source: ImageSource, count: number) {
  const { imageSize: size } = tokenizer.config
  const set = await source.open()
  try {
    const originals: Image[] = []
    const latents: Float32Array[] = []
    for await (const { images, indices } of evaluationBatches(spread(set, count), { size, batch: count })) {
      using input = tensor(images, [indices.length, size, size, 3], { dtype: 'uint8' })
      using encoded = await tokenizer.encode(input)
      const values = await encoded.toFloat32()
      originals.push(...sliceImages(images, size))
      const length = values.length / indices.length
      for (let i = 0; i < indices.length; i++) latents.push(values.slice(i * length, (i + 1) * length))
    }
    return { originals, latents }
  } finally {
    await set.close()
  }
}

async function decode(tokenizer: Tokenizer, latents: readonly Float32Array[]): Promise<Image[]> {
  const { imageSize: size, latentTokens, latentChannels } = tokenizer.config
  const images: Image[] = []
  for (let first = 0; first < latents.length; first += 32) {
    const part = latents.slice(first, first + 32)
    const values = new Float32Array(part.length * latentTokens * latentChannels)
    for (const [i, one] of part.entries()) values.set(one, i * one.length)
    using input = tensor(values, [part.length, latentTokens, latentChannels])
    using output = await tokenizer.decode(input)
    images.push(...sliceImages(toLevels(await output.toFloat32(), part.length), size))
  }
  return images
}

/** The first principal axis and the deviation along it of some tokens, over all samples. */
async function mainDirections({ means, count, tokens, channels }: LatentSamples, chosen: readonly number[]) {
  const points = new Float32Array(chosen.length * count * channels)
  for (const [row, token] of chosen.entries()) {
    for (let i = 0; i < count; i++) {
      const from = (i * tokens + token) * channels
      points.set(means.subarray(from, from + channels), (row * count + i) * channels)
    }
  }
  const input = addon().tensor(points, 'float32', [chosen.length, count, channels], 'cpu')
  const { mean, axes, deviations, scores } = await native(addon().principalComponents(input, 1))
  const [directions, spreads] = [await native(axes.read()), await native(deviations.read())]
  for (const one of [input, mean, axes, deviations, scores]) one.dispose()
  return { directions: new Float32Array(directions), spreads: new Float32Array(spreads) }
}

/**
 * Writes `controls-0.png` and so on, one per image: each row a token, moved by −3 to 3 standard deviations along its main direction, and
 * where that changes the image.
 */
export async function drawControls(
  tokenizer: Tokenizer,
  source: ImageSource,
  samples: LatentSamples,
  folder: string,
  count: number
): Promise<{ controls: TokenControl[][]; files: string[] }> {
  const { latentTokens, latentChannels: channels, imageSize } = tokenizer.config
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * latentTokens) / count))
  const { directions, spreads } = await mainDirections(samples, chosen)
  const { latents } = await encodeSome(tokenizer, source, imageCount)
  const controls: TokenControl[][] = []
  const files: string[] = []
  for (const [number, base] of latents.entries()) {
    const variants = chosen.flatMap((token, row) =>
      moves.map((move) => {
        const moved = base.slice()
        for (let c = 0; c < channels; c++) {
          const step = move * (spreads[row] as number) * (directions[row * channels + c] as number)
          moved[token * channels + c] = (moved[token * channels + c] as number) + step
        }
        return moved
      })
    )
    const decoded = await decode(tokenizer, variants)
    const tiles: Image[] = []
    controls[number] = chosen.map((token, row) => {
      const images = decoded.slice(row * moves.length, (row + 1) * moves.length)
      const { image, influence, centre } = differenceOf(images[0] as Image, images.at(-1) as Image)
      tiles.push(...images, image)
      return { token, deviation: spreads[row] as number, influence, centre }
    })
    const captions = [
      ...moves.map((move) => (move === 0 ? 'as encoded' : `${move > 0 ? '+' : '−'}${Math.abs(move)} σ`)),
      'change'
    ]
    const file = `controls-${number}.png`
    await writePng(join(folder, file), await grid(tiles, moves.length + 1, { zoom: zoomOf(imageSize), captions }))
    files.push(file)
  }
  return { controls, files }
}

/** The difference of two images: in grey, the largest white; its mean in levels; its centre of mass. */
function differenceOf(a: Image, b: Image): { image: Image; influence: number; centre: { x: number; y: number } } {
  const { width, height } = a
  const values = Float32Array.from({ length: width * height }, (_, i) => {
    const at = 3 * i
    return [0, 1, 2].reduce((sum, c) => sum + Math.abs((a.data[at + c] as number) - (b.data[at + c] as number)) / 3, 0)
  })
  const [largest, total] = values.reduce(([most, sum], value) => [Math.max(most, value), sum + value], [0, 0])
  const data = new Uint8Array(a.data.length)
  let [x, y] = [0, 0]
  for (const [i, value] of values.entries()) {
    data.fill(largest > 0 ? Math.round((255 * value) / largest) : 0, 3 * i, 3 * i + 3)
    x += value * ((i % width) + 0.5)
    y += value * (Math.floor(i / width) + 0.5)
  }
  const centre = total > 0 ? { x: x / total / width, y: y / total / height } : { x: 0.5, y: 0.5 }
  return { image: { data, width, height }, influence: total / values.length, centre }
}

const steps = 8
const pairs = 3

/** Writes `interpolation.png`: rows of original, decoded mixtures of two images' latents from one to the other, original. */
export async function drawInterpolation(tokenizer: Tokenizer, source: ImageSource, folder: string): Promise<string[]> {
  const { originals, latents } = await encodeSome(tokenizer, source, 2 * pairs)
  const rows = Math.floor(latents.length / 2)
  if (rows === 0) return []
  const tiles: Image[] = []
  for (let row = 0; row < rows; row++) {
    const [from, to] = [latents[row] as Float32Array, latents[row + rows] as Float32Array]
    const mixtures = Array.from({ length: steps }, (_, i) => {
      const part = i / (steps - 1)
      return from.map((value, unit) => (1 - part) * value + part * (to[unit] as number))
    })
    const decoded = await decode(tokenizer, mixtures)
    tiles.push(originals[row] as Image, ...decoded, originals[row + rows] as Image)
  }
  const file = 'interpolation.png'
  const zoom = zoomOf(tokenizer.config.imageSize)
  const captions = ['original', ...Array.from({ length: steps }, (_, i) => (i / (steps - 1)).toFixed(2)), 'original']
  await writePng(join(folder, file), await grid(tiles, steps + 2, { zoom, captions }))
  return [file]
}
