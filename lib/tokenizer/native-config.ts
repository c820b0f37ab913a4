import type { NativeTokenizerConfig, NativeVitConfig } from '../native/addon.js'
import type { TokenizerConfig } from './schema.js'

/** Adds what both networks share and nobody configures: exact GELU, eps 1e-6, no registers. */
const vit = (config: TokenizerConfig['encoder']): NativeVitConfig => ({
  ...config,
  mlp: 'gelu',
  registers: 0,
  normEps: 1e-6
})

/** The complete configuration for C++. `checkpointing` recomputes blocks in the backward pass to save memory. */
export const nativeTokenizerConfig = (config: TokenizerConfig, checkpointing = false): NativeTokenizerConfig => ({
  ...config,
  encoder: vit(config.encoder),
  decoder: vit(config.decoder),
  prune: true,
  checkpointing
})
