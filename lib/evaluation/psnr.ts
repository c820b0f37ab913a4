/** One of 256 levels for a value in [-1, 1]; what lies outside is clamped. */
export const toLevel = (value: number): number => Math.min(255, Math.max(0, Math.round((value + 1) * 127.5)))

/** Decoded pictures float32 [B, 3, H, W], about [-1, 1], on 256 levels: uint8 [B, H, W, 3]. */
export function toLevels(decoded: Float32Array, count: number): Uint8Array {
  const levels = new Uint8Array(decoded.length)
  const plane = decoded.length / count / 3
  for (let picture = 0; picture < count; picture++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = (picture * 3 + channel) * plane
      let to = picture * plane * 3 + channel
      for (let i = 0; i < plane; i++, to += 3) levels[to] = toLevel(decoded[from + i] as number)
    }
  }
  return levels
}

/**
 * PSNR in dB of each of `count` pictures on levels 0 to 255, as scikit-image's `peak_signal_noise_ratio(data_range=255)`; Infinity for
 * equal ones.
 */
export function levelsPsnr(a: Uint8Array, b: Uint8Array, count: number): number[] {
  const values = a.length / count
  return Array.from({ length: count }, (_, picture) => {
    let squares = 0
    for (let i = picture * values; i < (picture + 1) * values; i++)
      squares += ((a[i] as number) - (b[i] as number)) ** 2
    return 10 * Math.log10(255 ** 2 / (squares / values))
  })
}

/**
 * The same of pictures and their reconstructions.
 * @param originals - uint8 [B, H, W, 3]
 * @param decoded - float32 [B, 3, H, W], about [-1, 1]
 */
export const psnr = (originals: Uint8Array, decoded: Float32Array, count: number): number[] =>
  levelsPsnr(originals, toLevels(decoded, count), count)
