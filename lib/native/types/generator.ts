/** Generators, their sampling and training. */

import type { NativeProcessGroup } from './distributed.js'
import type { NativeModule, NativeState, NativeTensor, Precision } from './tensor.js'
import type { NativeTrainerConfig } from './tokenizer-training.js'

export interface NativeGeneratorConfig {
  model: 'sit' | 'lightning-dit'
  /** [L, Z] or [C, H, W]. */
  latentShape: number[]
  patchSize: number
  width: number
  depth: number
  heads: number
  mlpRatio: number
  classes: number
  learnSigma: boolean
  /** LightningDiT only. */
  qkNorm: boolean
  /** LightningDiT only. */
  shift: boolean
  checkpointing: boolean
}

/** A network that generates latents. */
export interface NativeGenerator extends NativeModule {}

/** What a network was trained to predict; `data_at_0`: its time runs from data to noise. */
export interface NativeFlowConfig {
  path: 'linear' | 'gvp' | 'vp'
  prediction: 'velocity' | 'noise' | 'score'
  time: 'data_at_1' | 'data_at_0'
}

export interface NativeGuidance {
  scale: number
  low: number
  high: number
  /** The number of guided channels; 0 for all. */
  channels: number
  /** The network to guide away from; null for the same network without a class. */
  weak: NativeGenerator | null
}

export interface NativeDiffusion {
  form: 'constant' | 'sbdm' | 'sigma' | 'linear' | 'decreasing' | 'increasing-decreasing'
  norm: number
  lastStep: 'mean' | 'tweedie' | 'euler' | 'none'
  lastStepSize: number
}

export interface NativeSamplerConfig {
  method: 'euler' | 'heun' | 'midpoint' | 'dopri5' | 'euler-maruyama' | 'sde-heun'
  steps: number
  shift: number
  rtol: number
  atol: number
  control: 'sample' | 'batch'
  /** The state's dtype; networks compute in float32. */
  state: 'float32' | 'float64'
  diffusion: NativeDiffusion
  precision: Precision
  /** Record network evaluations as CUDA graphs; see NativeTrainerConfig. */
  graphs: boolean
  /** The noise of row i depends on (seed, firstIndex + i). */
  seed: number
  firstIndex: number
}

export interface NativeSamplerProgress {
  done: boolean
  /** The time that the slowest sample has reached. */
  time: number
  /** Evaluations of the field. */
  field: number
  /** Rows of these evaluations. */
  samples: number
  /** Further rows for guidance. */
  guiding: number
}

export interface NativeSampler {
  /** One step, or one attempt of an adaptive solver; does nothing once sampling is done. */
  step(): Promise<NativeSamplerProgress>
  /** float32, normalised as the network sees them. */
  latents(): Promise<NativeTensor>
  /** The clean latents that the last step predicted, float32. */
  preview(): Promise<NativeTensor>
  dispose(): void
}

export interface NativeFlowLoss {
  weighting: 'none' | 'velocity' | 'likelihood'
  /** Weight of the cosine loss; 0 for none. */
  direction: number
}

export interface NativeFlowTrainerConfig {
  seed: number
  precision: Precision
  graphs: boolean
  flow: NativeFlowConfig
  loss: NativeFlowLoss
  timesteps: { kind: 'uniform' | 'lognormal'; mean: number; deviation: number; shift: number }
  labelDropout: number
  optimizer: NativeTrainerConfig['optimizer']
  ema: NativeTrainerConfig['ema']
  /** See NativeTrainerConfig. */
  group?: NativeProcessGroup | null
  sharded?: boolean
}

/** Normalised latents float32 [b, L, Z] or [b, C, H, W] and their classes int64 [b]. */
export interface NativeFlowBatch {
  latents: NativeTensor
  labels: NativeTensor
}

export interface NativeFlowTrainer {
  readonly generator: NativeGenerator
  readonly ema: NativeGenerator
  /** One optimiser step; the rows of the micro-batches are samples 0, 1, 2, … of the global batch. */
  step(microBatches: NativeFlowBatch[], options: { step: number; lr: number }): Promise<void>
  /**
   * Means since the last call, which are then reset: total, flow, direction, gradNorm. Counts: skipped, steps, and `nonFinite.NAME` for each mean that
   * was not finite. skippedInARow: skipped steps in a row up to now.
   */
  metrics(): Promise<Record<string, number>>
  /** Groups of a checkpoint: `model`, `ema` and `optimizer`. Live views. */
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
  /** See NativeTokenizerTrainer. */
  gather(): Promise<void>
  shareAverage(): Promise<void>
  release(): Promise<void>
  dispose(): void
}

export interface GeneratorFunctions {
  /** seed: of the initial weights; null: arbitrary ones, to be loaded. */
  createGenerator(config: NativeGeneratorConfig, device: string, seed: number | null): Promise<NativeGenerator>
  /** start: noise [B, …] instead of a drawn one; increments: [steps, B, …] instead of an SDE's drawn ones. */
  createSampler(
    generator: NativeGenerator,
    flow: NativeFlowConfig,
    guidance: NativeGuidance,
    config: NativeSamplerConfig,
    labels: NativeTensor,
    start: NativeTensor | null,
    increments: NativeTensor | null
  ): Promise<NativeSampler>
  /** `ema` starts as a copy of the generator and becomes its moving average. */
  createFlowTrainer(
    generator: NativeGenerator,
    ema: NativeGenerator,
    config: NativeFlowTrainerConfig
  ): Promise<NativeFlowTrainer>
}
