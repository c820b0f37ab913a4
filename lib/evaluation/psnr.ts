import { toLevels } from '../data/levels.js'

/**
 * PSNR in dB of each of `count` images on levels 0 to 255, as scikit-image's `peak_signal_noise_ratio(data_range=255)`; Infinity for
 * equal ones.
 */
export function levelsPsnr(a: Uint8Array, b: Uint8Array, count: number): number[] {
  const values = a.length / count
  return Array.from({ length: count }, (_, image) => {
    let squares = 0
    for (let i = image * values; i < (image + 1) * values; i++) squares += ((a[i] as number) - (b[i] as number)) ** 2
    return 10 * Math.log10(255 ** 2 / (squares / values))
  })
}

/**
 * The same of images and their reconstructions.
 * @param originals - uint8 [B, H, W, 3]
 * @param decoded - float32 [B, 3, H, W], about [-1, 1]
 */
export const psnr = (originals: Uint8Array, decoded: Float32Array, count: number): number[] =>
  levelsPsnr(originals, toLevels(decoded, count), count)
