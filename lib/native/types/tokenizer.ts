/** Tokenizers, teachers and masks. */

import type { NativeModule, NativeTensor, Precision } from './tensor.js'

export interface NativeVitConfig {
  width: number
  depth: number
  heads: number
  mlpRatio: number
  mlp: 'gelu' | 'gelu_tanh' | 'swiglu'
  /** Initial value of LayerScale; null for none. */
  layerScale: number | null
  cls: boolean
  registers: number
  positions: 'learned' | 'rope'
  ropeTheta: number
  normEps: number
}

export interface NativeTokenizerConfig {
  imageSize: number
  patchSize: number
  latentTokens: number
  latentChannels: number
  bottleneck: 'kl' | 'ae' | 'softvq'
  /** Only with a `softvq` bottleneck. */
  softvq?: { codebooks: number; codebookSize: number; temperature: number; normalise: boolean } | undefined
  logvarRange: [number, number]
  encoder: NativeVitConfig
  decoder: NativeVitConfig
  /** In the last block of encoder and decoder, compute only the tokens that are used. */
  prune: boolean
  /** Recompute the blocks in the backward pass instead of keeping their activations. */
  checkpointing: boolean
}

export interface EncodeOptions {
  precision: Precision
  /** Draw from the posterior instead of taking its mean: the noise of row i depends on (seed, indices[i]). */
  sample: boolean
  seed: number
  /** The sample number of each row; only read with `sample`. */
  indices: readonly number[]
}

export interface NativeTokenizer extends NativeModule {
  /** images: uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1]; mask: uint8 or bool [B,N], nonzero = masked, or null. */
  encode(images: NativeTensor, mask: NativeTensor | null, options: EncodeOptions): Promise<NativeTensor>
  /** Mean and log-variance, [B, L, Z] each (log-variance null without a `kl` bottleneck). */
  posterior(images: NativeTensor, precision: Precision): Promise<{ mean: NativeTensor; logvar: NativeTensor | null }>
  /** float32 [B, 3, H, W], about [-1, 1], not clamped. */
  decode(latents: NativeTensor, precision: Precision): Promise<NativeTensor>
}

export interface NativeTeacherConfig {
  vit: NativeVitConfig
  patchSize: number
  /** Side of the square image that enters the network, in pixels. */
  inputSize: number
}

export interface NativeTeacher extends NativeModule {
  features(images: NativeTensor, precision: Precision): Promise<{ cls: NativeTensor; patches: NativeTensor }>
  /** Cosine similarity of `cls` and each patch, resampled to a grid × grid raster: float32 [B, grid²]. */
  similarity(images: NativeTensor, grid: number, precision: Precision): Promise<NativeTensor>
}

export interface NativeMaskConfig {
  target: 'image' | 'latent' | 'none'
  minRatio: number
  maxRatio: number
  semantic: number
  per: 'image' | 'batch'
}

export interface TokenizerFunctions {
  /** seed: of the initial weights; null: arbitrary ones, to be loaded. */
  createTokenizer(config: NativeTokenizerConfig, device: string, seed: number | null): Promise<NativeTokenizer>
  createTeacher(config: NativeTeacherConfig, device: string): Promise<NativeTeacher>
  /** uint8 [B, patches], 1 = masked: the masks of training, or of one ratio with `minRatio == maxRatio`. Without scores, random only. */
  imageMask(
    config: NativeMaskConfig,
    scores: NativeTensor | null,
    seed: number,
    step: number,
    firstIndex: number,
    batch: number,
    patches: number
  ): Promise<NativeTensor>
  /** timm's resample_abs_pos_embed: positions [1, prefix + h·w, D]. */
  resamplePositions(
    positions: NativeTensor,
    prefix: number,
    from: [number, number],
    to: [number, number]
  ): Promise<NativeTensor>
  /** timm's resample_patch_embed: kernel [D, 3, p, p]. */
  resamplePatchKernel(kernel: NativeTensor, patch: number): Promise<NativeTensor>
}
