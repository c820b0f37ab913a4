import type { Image } from './decode.js'

/** Quantises a value in [-1, 1] to 256 levels; values outside are clamped. */
export const toLevel = (value: number): number => Math.min(255, Math.max(0, Math.round((value + 1) * 127.5)))

/** Quantises decoded images float32 [B, 3, H, W], about [-1, 1], to uint8 [B, H, W, 3]. */
export function toLevels(decoded: Float32Array, count: number): Uint8Array {
  const levels = new Uint8Array(decoded.length)
  const plane = decoded.length / count / 3
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = (image * 3 + channel) * plane
      let to = image * plane * 3 + channel
      for (let i = 0; i < plane; i++, to += 3) levels[to] = toLevel(decoded[from + i] as number)
    }
  }
  return levels
}

/** Converts float32 [B, 3, H, W], about [-1, 1], to 8-bit images. */
export function toImages(values: Float32Array, shape: readonly number[]): Image[] {
  const [count, , height, width] = shape as [number, number, number, number]
  const plane = height * width
  return Array.from({ length: count }, (_, image) => {
    const data = new Uint8Array(plane * 3)
    for (let channel = 0; channel < 3; channel++) {
      const start = (image * 3 + channel) * plane
      for (let i = 0; i < plane; i++) data[i * 3 + channel] = toLevel(values[start + i] as number)
    }
    return { data, width, height }
  })
}

/** Splits uint8 [B, size, size, 3] into images that share its bytes. */
export function sliceImages(images: Uint8Array, size: number): Image[] {
  const bytes = size * size * 3
  return Array.from({ length: images.length / bytes }, (_, i) => ({
    data: images.subarray(i * bytes, (i + 1) * bytes),
    width: size,
    height: size
  }))
}
