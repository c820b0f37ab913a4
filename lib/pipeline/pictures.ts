import type { Picture } from '../data/decode.js'
import { toLevel } from '../evaluation/psnr.js'

/** float32 [B, 3, H, W], about [-1, 1], as 8-bit pictures. */
export function toPictures(values: Float32Array, shape: readonly number[]): Picture[] {
  const [count, , height, width] = shape as [number, number, number, number]
  const plane = height * width
  return Array.from({ length: count }, (_, picture) => {
    const data = new Uint8Array(plane * 3)
    for (let channel = 0; channel < 3; channel++) {
      const start = (picture * 3 + channel) * plane
      for (let i = 0; i < plane; i++) data[i * 3 + channel] = toLevel(values[start + i] as number)
    }
    return { data, width, height }
  })
}

/** uint8 [B, size, size, 3] as pictures, sharing the bytes. */
export function slicePictures(images: Uint8Array, size: number): Picture[] {
  const bytes = size * size * 3
  return Array.from({ length: images.length / bytes }, (_, i) => ({
    ...{ data: images.subarray(i * bytes, (i + 1) * bytes), width: size, height: size }
  }))
}

/** A copy of a square picture with its masked patches in grey. */
export function maskPicture({ data, width, height }: Picture, mask: ArrayLike<number>): Picture {
  const grid = Math.sqrt(mask.length)
  const patch = width / grid
  const masked = data.slice()
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!mask[Math.floor(y / patch) * grid + Math.floor(x / patch)]) continue
      const at = (y * width + x) * 3
      masked.fill(128, at, at + 3)
    }
  }
  return { data: masked, width, height }
}

/** Black, violet, orange, white: perceptually even enough, and readable without colours. */
const heat = [
  [12, 8, 38],
  [120, 28, 109],
  [237, 105, 37],
  [252, 255, 232]
] as const

/** How far two pictures of one size are apart, as colours from dark (equal) to bright (`most` levels of 255, mean over the channels). */
export function errorPicture(a: Picture, b: Picture, most = 64): Picture {
  const data = new Uint8Array(a.data.length)
  for (let at = 0; at < data.length; at += 3) {
    let difference = 0
    for (let c = 0; c < 3; c++) difference += Math.abs((a.data[at + c] as number) - (b.data[at + c] as number)) / 3
    const place = Math.min(1, difference / most) * (heat.length - 1)
    const below = Math.min(heat.length - 2, Math.floor(place))
    for (let c = 0; c < 3; c++) {
      const [from, to] = [heat[below]?.[c] as number, heat[below + 1]?.[c] as number]
      data[at + c] = Math.round(from + (to - from) * (place - below))
    }
  }
  return { ...a, data }
}
