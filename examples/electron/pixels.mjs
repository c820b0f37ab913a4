// Between tensors and the pixels of a canvas; masks.

/** @import { Pixels } from './protocol.ts' */

/** From uint8 [B, H, W, 3]. @param {Uint8Array} levels @param {number} images @returns {Pixels[]} */
export function fromLevels(levels, images) {
  const area = levels.length / images / 3
  return Array.from({ length: images }, (_, image) => {
    const pixels = new Uint8ClampedArray(area * 4).fill(255)
    for (let i = 0; i < area; i++)
      pixels.set(levels.subarray((image * area + i) * 3, (image * area + i + 1) * 3), i * 4)
    return pixels
  })
}

/** From float32 [B, 3, H, W], about [-1, 1]. @param {Float32Array} values @param {number} images @returns {Pixels[]} */
export function toPixels(values, images) {
  const area = values.length / images / 3
  return Array.from({ length: images }, (_, image) => {
    const pixels = new Uint8ClampedArray(area * 4).fill(255)
    for (let channel = 0; channel < 3; channel++) {
      const start = (image * 3 + channel) * area
      // Assigning rounds and clamps to 0 … 255.
      for (let i = 0; i < area; i++) pixels[i * 4 + channel] = (values[start + i] + 1) * 127.5
    }
    return pixels
  })
}

/** In dB, of what the colours' levels differ. @param {Pixels} a @param {Pixels} b */
export function psnr(a, b) {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return 10 * Math.log10(255 ** 2 / (sum / (a.length * 0.75)))
}

/**
 * Hides the same part of every image's patches at random.
 * @param {{ images: number, patches: number, ratio: number, seed: number }} wanted
 * @returns {Uint8Array} [images · patches], 1 per hidden patch
 */
export function drawMasks({ images, patches, ratio, seed }) {
  const random = mulberry32(seed)
  const masks = new Uint8Array(images * patches)
  for (let image = 0; image < images; image++) {
    const order = Array.from({ length: patches }, (_, patch) => ({ patch, place: random() }))
    order.sort((a, b) => a.place - b.place)
    for (const { patch } of order.slice(0, Math.round(ratio * patches))) masks[image * patches + patch] = 1
  }
  return masks
}

/** Tommy Ettinger's generator of numbers in [0, 1): small, and the same everywhere. @param {number} seed */
function mulberry32(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}
