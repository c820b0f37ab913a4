/** One of 256 levels for a value in [-1, 1]; what lies outside is clamped. */
export const toLevel = (value: number): number => Math.min(255, Math.max(0, Math.round((value + 1) * 127.5)))

/**
 * PSNR in dB of each picture, on levels 0 to 255 as scikit-image's `peak_signal_noise_ratio(data_range=255)`.
 * @param originals - uint8 [B, H, W, 3]
 * @param decoded - float32 [B, 3, H, W], about [-1, 1]
 */
export function psnr(originals: Uint8Array, decoded: Float32Array, count: number): number[] {
  const values = originals.length / count
  const plane = values / 3
  return Array.from({ length: count }, (_, picture) => {
    const start = picture * values
    let squares = 0
    for (let channel = 0; channel < 3; channel++) {
      for (let i = 0; i < plane; i++) {
        const level = toLevel(decoded[start + channel * plane + i] as number)
        squares += (level - (originals[start + i * 3 + channel] as number)) ** 2
      }
    }
    return 10 * Math.log10(255 ** 2 / (squares / values))
  })
}
