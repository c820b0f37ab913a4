/** Training of a tokenizer, with its perceptual and adversarial losses. */

import type { NativeProcessGroup } from './distributed.js'
import type { NativeModule, NativeState, NativeTensor, Precision } from './tensor.js'
import type { NativeMaskConfig, NativeTeacher, NativeTokenizer, NativeVitConfig } from './tokenizer.js'

/** An LPIPS network. */
export interface NativePerceptual extends NativeModule {
  /** The distance of each pair of images, uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1]: float32 [B]. */
  distance(images: NativeTensor, targets: NativeTensor, precision: Precision): Promise<NativeTensor>
}

export interface NativeDiscriminatorConfig {
  vit: NativeVitConfig
  patchSize: number
  /** Side of the square image that enters the backbone, in pixels. */
  inputSize: number
  /** The levels of features: before block 0, and after these blocks, ascending. */
  levels: number[]
  /** Odd length of the residual convolution. */
  kernel: number
}

/** Its state: the parameters `backbone.*` and `heads.*`, and the heads' buffers. */
export interface NativeDiscriminator extends NativeModule {}

export type AdversarialLoss = 'hinge' | 'vanilla' | 'non-saturating'

/** DiffAugment; one coin per policy decides for the whole batch. */
export interface NativeAugmentation {
  probability: number
  color: boolean
  /** Largest shift as a fraction of the side; 0 for none. */
  translation: number
  /** Side of the square cut-out as a fraction of the image's; 0 for none. */
  cutout: number
}

export interface NativeAdversarialConfig {
  loss: AdversarialLoss
  /** Use VQGAN's adaptive weight on the generator's term. */
  adaptive: boolean
  augment: NativeAugmentation
  /** The augmentation of the consistency term's second view. */
  strong: NativeAugmentation
  /** Weight of the consistency term; at 0 it is not computed. */
  consistency: number
  /** Weight of LeCAM; at 0 it is not computed. */
  lecam: number
  lecamDecay: number
}

export interface NativeTrainerConfig {
  seed: number
  precision: Precision
  /** Record steps as CUDA graphs. A CPU runs them on the buffers that a graph would read. */
  graphs: boolean
  masking: NativeMaskConfig
  alignment: { local: boolean; global: boolean; shared: boolean; hidden: number; on: 'sample' | 'mean' }
  reconstruction: 'mse' | 'l1'
  optimizer: { betas: [number, number]; eps: number; weightDecay: number; clipNorm: number }
  ema: { decay: number; warmup: boolean }
  /** Decoder fine-tuning: encoder, `to_posterior` and their averages are never written. Default false. */
  decoderOnly?: boolean
  /** The ranks that share each micro-batch, of which each computes an equal part; absent or null: this process alone. */
  group?: NativeProcessGroup | null
  /** Divide moments and averages among the ranks. Default false. */
  sharded?: boolean
  /** Settings of the discriminator, required with one. Its AdamW has the tokenizer's settings. */
  discriminator?: NativeAdversarialConfig
}

/** The values of one step; schedules live in lib/training. */
export interface NativeStepOptions {
  step: number
  lr: number
  /** Default 0. A term of weight 0 that needs a network is not computed; at `adversarial` 0 the discriminator neither runs nor trains. */
  weights: { reconstruction: number; kl: number; alignment: number; perceptual?: number; adversarial?: number }
}

export interface NativeTokenizerTrainer {
  /** The weights in training, and their exponential moving average: live views. */
  readonly tokenizer: NativeTokenizer
  readonly ema: NativeTokenizer
  /**
   * One optimiser step over the micro-batches, images uint8 [b, H, W, 3] each; their rows are samples 0, 1, 2, … of the global batch, or rank
   * r's part of it: with n rows in each micro-batch, rows n·r … of every n·ranks.
   * features: the teacher's for each micro-batch, [b, 1 + N, D] with `cls` first, of any floating dtype; absent: the teacher computes them.
   */
  step(microBatches: NativeTensor[], options: NativeStepOptions, features?: NativeTensor[] | null): Promise<void>
  /**
   * Means since the last call, which are then reset: total, reconstruction, kl, alignLocal, alignGlobal, perceptual, adversarial,
   * adaptiveWeight, psnr, maskRatio, activeUnits, gradNorm; of the discriminator: discriminator, lecam, consistency, logitsReal,
   * logitsFake, accuracyReal, accuracyFake, discriminatorGradNorm. Counts: steps, skipped, discriminatorSkipped,
   * discriminatorCalls, and `nonFinite.NAME` for each mean that was not finite. A step is skipped for all networks, or for
   * none. skippedInARow: skipped steps in a row up to now.
   */
  metrics(): Promise<Record<string, number>>
  /**
   * Groups of a checkpoint: `model`, `ema`, `alignment`, `optimizer` (exp_avg.NAME, exp_avg_sq.NAME, step, ema_updates), and with a
   * discriminator `discriminator` (heads with their buffers, lecam.real, lecam.fake) and `discriminator_optimizer`. Live views.
   */
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
  /** Gives rank 0 the values of a sharded state, until `release`; all ranks call both. Nothing otherwise. */
  gather(): Promise<void>
  /** Gives all ranks the average of a sharded state, until `release`. */
  shareAverage(): Promise<void>
  release(): Promise<void>
  dispose(): void
}

export interface TokenizerTrainingFunctions {
  createPerceptual(network: 'vgg' | 'alex', device: string): Promise<NativePerceptual>
  /** Its heads are initialised from the seed; the backbone's weights must be loaded. */
  createDiscriminator(config: NativeDiscriminatorConfig, device: string, seed: number): Promise<NativeDiscriminator>
  createTokenizerTrainer(
    tokenizer: NativeTokenizer,
    teacher: NativeTeacher | null,
    config: NativeTrainerConfig,
    networks?: { perceptual?: NativePerceptual | null; discriminator?: NativeDiscriminator | null }
  ): Promise<NativeTokenizerTrainer>
}
