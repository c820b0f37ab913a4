import type { TokenizerConfigInput } from './schema.js'

const small = { width: 384, depth: 12, heads: 6 }
const large = { width: 1024, depth: 24, heads: 16 }

/** A small ViT that is trained from scratch, so LayerScale starts at 1. */
const tiny = (width: number, depth: number, heads: number) => ({ width, depth, heads, layerScale: 1 })

/**
 * Architectures by name. `mactok-<size>-<pixels>-<tokens>` are the rows of the paper's tables; `bl` has a large
 * decoder. `s`, of ViT-S, is ours. The tiny ones can be trained on a laptop's CPU.
 */
export const tokenizerPresets = {
  'mactok-b-256-64': { imageSize: 256, latentTokens: 64 },
  'mactok-b-256-128': { imageSize: 256, latentTokens: 128 },
  'mactok-bl-512-64': { imageSize: 512, latentTokens: 64, decoder: large },
  'mactok-b-512-128': { imageSize: 512, latentTokens: 128 },
  'mactok-s-256-128': { imageSize: 256, latentTokens: 128, encoder: small, decoder: small },
  'tiny-32': {
    imageSize: 32,
    patchSize: 4,
    latentTokens: 32,
    latentChannels: 16,
    encoder: tiny(192, 2, 6),
    decoder: tiny(192, 2, 6)
  },
  'tiny-64': {
    imageSize: 64,
    patchSize: 8,
    latentTokens: 32,
    latentChannels: 16,
    encoder: tiny(192, 2, 6),
    decoder: tiny(192, 2, 6)
  }
} as const satisfies Record<string, TokenizerConfigInput>

export type TokenizerPreset = keyof typeof tokenizerPresets
