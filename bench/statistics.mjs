/** Statistics of the measured seconds. */

/**
 * @param {number[]} values
 * @param {number} part in [0, 1]
 */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b)
  const place = part * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return low + (high - low) * (place - Math.floor(place))
}

/** @param {number[]} values */
export const median = (values) => quantile(values, 0.5)

/**
 * The distance of two lists of numbers: the largest difference relative to the list's value, or to 1e-3 of its largest.
 * @param {number[]} ours
 * @param {number[]} theirs
 */
export function difference(ours, theirs) {
  if (ours.length === 0 || ours.length !== theirs.length) return Number.POSITIVE_INFINITY
  const floor = 1e-3 * Math.max(...theirs.map(Math.abs))
  const apart = ours.map((value, i) => Math.abs(value - theirs[i]) / Math.max(Math.abs(theirs[i]), floor))
  return apart.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...apart)
}

/**
 * The distance of two samples: ‖ours − theirs‖ / ‖theirs‖.
 * @param {number[]} ours
 * @param {number[]} theirs
 */
export function distance(ours, theirs) {
  const norm = Math.hypot(...theirs)
  const apart = Math.hypot(...ours.map((value, i) => value - theirs[i])) / norm
  return ours.length === theirs.length && Number.isFinite(apart) ? apart : Number.POSITIVE_INFINITY
}

/**
 * The peer's best variant of a kind, by its median.
 * @template {{ name: string, median: number }} Variant
 * @param {Variant[]} variants
 * @returns {Variant | undefined}
 */
export const best = (variants) => variants.reduce((a, b) => (a && a.median <= b.median ? a : b), variants[0])

/**
 * FLOPs of the forward and backward pass of encoder and decoder on one image. Counts what the loss needs: only the kept tokens of a
 * last block, and no gradient of the image. A multiplication and an addition are two.
 * @param {{ imageSize: number, patchSize: number, latentTokens: number, latentChannels: number,
 *   encoder: Vit, decoder: Vit }} tokenizer
 * @typedef {{ width: number, depth: number }} Vit
 */
export function tokenizerFlops({ imageSize, patchSize, latentTokens, latentChannels, encoder, decoder }) {
  const patches = (imageSize / patchSize) ** 2
  const pixels = 3 * patchSize ** 2
  /** @param {Vit} vit @param {number} tokens @param {number} kept */
  const blocks = ({ width, depth }, tokens, kept) => {
    /** @param {number} queries */
    const block = (queries) =>
      2 * (2 * tokens * width ** 2 + 2 * queries * width ** 2 + 8 * queries * width ** 2 + 2 * queries * tokens * width)
    return (depth - 1) * block(tokens) + block(kept)
  }
  const encoded = blocks(encoder, patches + latentTokens + 1, latentTokens)
  const decoded = blocks(decoder, patches + latentTokens, patches)
  const ends =
    2 * latentTokens * latentChannels * (2 * encoder.width + decoder.width) + 2 * patches * pixels * decoder.width
  return 3 * (encoded + decoded + ends) + 2 * (2 * patches * pixels * encoder.width)
}

/**
 * FLOPs of the forward and backward pass of SiT on one latent.
 * @param {{ width: number, depth: number, latentShape: number[] }} generator
 */
export function sitFlops({ width, depth, latentShape: [tokens, channels] }) {
  const block = 24 * tokens * width ** 2 + 4 * tokens ** 2 * width + 12 * width ** 2
  return 3 * (depth * block + 4 * tokens * channels * width + 4 * width ** 2)
}
