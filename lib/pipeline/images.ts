import type { Image } from '../data/decode.js'

/** Copies a square image with its masked patches in grey. */
export function maskImage({ data, width, height }: Image, mask: ArrayLike<number>): Image {
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

/** Black, violet, orange, white: roughly uniform to the eye, and readable in greyscale. */
const heat = [
  [12, 8, 38],
  [120, 28, 109],
  [237, 105, 37],
  [252, 255, 232]
] as const

/**
 * Maps the difference of two images of one size to colours, from dark (equal) to bright (`most` levels of 255, mean
 * over channels).
 */
export function errorImage(a: Image, b: Image, most = 64): Image {
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
