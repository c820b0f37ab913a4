/** The native addon as JavaScript sees it. One interface a binding file in native/bindings; nothing here is public API. */

export type Precision = 'fp32' | 'tf32' | 'bf16'

/** The shared handle of one LibTorch tensor. */
export interface NativeTensor {
  readonly dtype: string
  readonly shape: number[]
  readonly device: string
  readonly disposed: boolean
  /** A copy of the elements in row-major order. */
  read(): Promise<ArrayBuffer>
  /** A copy on another device and/or of another dtype (the same handle's storage when nothing changes). */
  to(device: string, dtype: string): Promise<NativeTensor>
  /** Rows [start, end) of the first dimension, as a view. */
  slice(start: number, end: number): NativeTensor
  /** The same elements in another shape, as a view. */
  reshape(shape: number[]): NativeTensor
  /** This · scale + shift, both broadcast: computed in float64, rounded once to this tensor's dtype. */
  affine(scale: NativeTensor, shift: NativeTensor): Promise<NativeTensor>
  dispose(): void
}

export type NativeState = Record<string, NativeTensor>

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
  /** Of a `softvq` bottleneck alone. */
  softvq?: { codebooks: number; codebookSize: number; temperature: number; normalise: boolean } | undefined
  logvarRange: [number, number]
  encoder: NativeVitConfig
  decoder: NativeVitConfig
  /** Compute only the tokens that are needed in the last block of encoder and decoder. */
  prune: boolean
  /** Recompute the blocks in the backward pass instead of keeping their activations. */
  checkpointing: boolean
}

export interface NativeTeacherConfig {
  vit: NativeVitConfig
  patchSize: number
  /** Side of the square image that enters the network, in pixels. */
  inputSize: number
}

/** A network's parameters by name; the tensors are views on the live parameters. */
export interface NativeModule {
  readonly device: string
  /** Live views on the parameters. */
  state(): NativeState
  /** Copies values into the parameters, converting dtype and device. Every parameter must be there, in its shape. */
  load(state: NativeState): Promise<void>
  dispose(): void
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
  /** images: uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1]; mask: bool [B,N] as uint8 tensor, true = masked, or null. */
  encode(images: NativeTensor, mask: NativeTensor | null, options: EncodeOptions): Promise<NativeTensor>
  /** Mean and log-variance, [B, L, Z] each (log-variance null without a `kl` bottleneck). */
  posterior(images: NativeTensor, precision: Precision): Promise<{ mean: NativeTensor; logvar: NativeTensor | null }>
  /** float32 [B, 3, H, W], about [-1, 1], not clamped. */
  decode(latents: NativeTensor, precision: Precision): Promise<NativeTensor>
}

export interface NativeTeacher extends NativeModule {
  features(images: NativeTensor, precision: Precision): Promise<{ cls: NativeTensor; patches: NativeTensor }>
  /** Cosine similarity of `cls` and each patch on a grid × grid raster, float32 [B, grid²]. */
  similarity(images: NativeTensor, grid: number, precision: Precision): Promise<NativeTensor>
}

/** LPIPS. */
export interface NativePerceptual extends NativeModule {
  /** The distance of each pair of images, float32 [B]; uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1]. */
  distance(images: NativeTensor, targets: NativeTensor, precision: Precision): Promise<NativeTensor>
  /** The gradient of the mean distance with respect to images, float32 [B,3,H,W] (tests). */
  gradient(images: NativeTensor, targets: NativeTensor): Promise<NativeTensor>
}

/** FID's Inception-v3; its state has pytorch-fid's names, and `fc.weight` where it was made with classes. */
export interface NativeInception extends NativeModule {
  /**
   * Of images uint8 [B,H,W,3] or float32 [B,3,H,W] in [-1,1], resized as pytorch-fid or as TensorFlow 1 does: float32 pool [B, 2048],
   * spatial [B, 2023] (sFID's), probabilities [B, classes] or null without a classifier.
   */
  features(
    images: NativeTensor,
    input: 'pytorch' | 'tensorflow',
    precision: Precision
  ): Promise<{ pool: NativeTensor; spatial: NativeTensor; probabilities: NativeTensor | null }>
}

/** Mean and covariance of rows, float64; its state is `count` [1], `mean` [D], `scatter` [D, D]. */
export interface NativeMoments extends NativeModule {
  add(rows: NativeTensor): Promise<void>
  merge(other: NativeMoments): Promise<void>
  /** Unbiased, [D, D]. */
  covariance(): Promise<NativeTensor>
}

/** Of each of G clouds: float32 mean [G, D], axes [G, K, D], deviations [G, K], scores [G, N, K]. */
export interface NativePrincipalComponents {
  mean: NativeTensor
  axes: NativeTensor
  deviations: NativeTensor
  scores: NativeTensor
}

export interface NativeDiscriminatorConfig {
  vit: NativeVitConfig
  patchSize: number
  /** Side of the square image that enters the backbone, in pixels. */
  inputSize: number
  /** Features before block 0 and after these blocks, ascending. */
  levels: number[]
  /** Odd length of the residual convolution. */
  kernel: number
}

/** How one call brings larger images to the backbone's size, in [0, 1): a crop for coin < ½, else area resize. */
export interface NativeCrop {
  coin: number
  top: number
  left: number
}

export type AdversarialLoss = 'hinge' | 'vanilla' | 'non-saturating'

/** Its state is parameters `backbone.*` and `heads.*`, and the heads' buffers. */
export interface NativeDiscriminator extends NativeModule {
  /** Logits of all levels, float32 [B, levels·N], by running statistics. */
  logits(images: NativeTensor, crop: NativeCrop, precision: Precision): Promise<NativeTensor>
  /** A call in training mode as the generator makes it: logits, its loss, and its gradient with respect to images (tests). */
  judge(
    images: NativeTensor,
    loss: AdversarialLoss,
    crop: NativeCrop
  ): Promise<{ logits: NativeTensor; loss: NativeTensor; gradient: NativeTensor }>
  /** Two calls in training mode, real then fake: `real`, `fake`, `loss`, and `gradient.NAME` of each of the heads' parameters (tests). */
  tell(real: NativeTensor, fake: NativeTensor, loss: AdversarialLoss, crop: NativeCrop): Promise<NativeState>
}

/** DiffAugment: each policy acts by one coin for the whole batch. */
export interface NativeAugmentation {
  probability: number
  color: boolean
  /** Largest shift as a part of the side; 0: none. */
  translation: number
  /** Side of the square that is cut out as a part of the image's; 0: none. */
  cutout: number
}

export interface NativeAdversarialConfig {
  loss: AdversarialLoss
  /** VQGAN's adaptive weight on the generator's term. */
  adaptive: boolean
  augment: NativeAugmentation
  /** The view that consistency asks about. */
  strong: NativeAugmentation
  /** Weights; 0: not computed. */
  consistency: number
  lecam: number
  lecamDecay: number
}

export interface NativeMaskConfig {
  target: 'image' | 'latent' | 'none'
  minRatio: number
  maxRatio: number
  semantic: number
  per: 'image' | 'batch'
}

export interface NativeTrainerConfig {
  seed: number
  precision: Precision
  /** Steps are recorded as CUDA graphs. A CPU runs them on the buffers that a graph would read. */
  graphs: boolean
  masking: NativeMaskConfig
  alignment: { local: boolean; global: boolean; shared: boolean; hidden: number; on: 'sample' | 'mean' }
  reconstruction: 'mse' | 'l1'
  optimizer: { betas: [number, number]; eps: number; weightDecay: number; clipNorm: number }
  ema: { decay: number; warmup: boolean }
  /** Decoder fine-tuning: encoder, `to_posterior` and their averages are never written. Absent: false. */
  decoderOnly?: boolean
  /** How the discriminator trains; only read where there is one. Its AdamW is set up as the generator's. */
  discriminator?: NativeAdversarialConfig
}

/** What changes from step to step; schedules live in lib/training. */
export interface NativeStepOptions {
  step: number
  lr: number
  /** Absent: 0. A term of weight 0 that costs a network is not computed; without `adversarial` nothing of the discriminator is. */
  weights: { reconstruction: number; kl: number; alignment: number; perceptual?: number; adversarial?: number }
}

export interface NativeTokenizerTrainer {
  /** The weights in training, and their exponential moving average: live views. */
  readonly tokenizer: NativeTokenizer
  readonly ema: NativeTokenizer
  /**
   * One optimiser step over the micro-batches, images uint8 [b, H, W, 3] each; their rows are samples 0, 1, 2, … of the global batch.
   * features: the teacher's for each micro-batch, [b, 1 + N, D] with `cls` first, of any floating dtype; absent: the teacher is asked.
   */
  step(microBatches: NativeTensor[], options: NativeStepOptions, features?: NativeTensor[] | null): Promise<void>
  /**
   * Means since the last call, then starts anew: total, reconstruction, kl, alignLocal, alignGlobal, perceptual, adversarial,
   * adaptiveWeight, psnr, maskRatio, activeUnits, gradNorm; of the discriminator: discriminator, lecam, consistency, logitsReal,
   * logitsFake, accuracyReal, accuracyFake, discriminatorGradNorm. Counts: steps, skipped, discriminatorSkipped,
   * discriminatorCalls, and `nonFinite.NAME` for each of the means that was not finite. skippedInARow: up to now.
   */
  metrics(): Promise<Record<string, number>>
  /** Gradients of one step's loss by parameter name, without updating anything (tests, accumulation checks). */
  gradients(microBatches: NativeTensor[], options: NativeStepOptions): Promise<NativeState>
  /**
   * Groups of a checkpoint: `model`, `ema`, `alignment`, `optimizer` (exp_avg.NAME, exp_avg_sq.NAME, step, ema_updates), and with a
   * discriminator `discriminator` (heads with their buffers, lecam.real, lecam.fake) and `discriminator_optimizer`. Live views.
   */
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
  dispose(): void
}

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
  /** LightningDiT alone. */
  qkNorm: boolean
  shift: boolean
  checkpointing: boolean
}

/** How a network was trained; `data_at_0`: its time runs from data to noise. */
export interface NativeFlowConfig {
  path: 'linear' | 'gvp' | 'vp'
  prediction: 'velocity' | 'noise' | 'score'
  time: 'data_at_1' | 'data_at_0'
}

export interface NativeFlowLoss {
  weighting: 'none' | 'velocity' | 'likelihood'
  /** Weight of the cosine loss; 0 for none. */
  direction: number
}

export interface NativeGuidance {
  scale: number
  low: number
  high: number
  /** 0 for all. */
  channels: number
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
  /** Evaluations of networks are recorded as CUDA graphs; see NativeTrainerConfig. */
  graphs: boolean
  /** Noise of row i depends on (seed, firstIndex + i). */
  seed: number
  firstIndex: number
}

/** A denoiser. */
export interface NativeGenerator extends NativeModule {
  /** The network's output, float32 of the latents' shape; times float32 [B] in its own direction, labels int64 [B]. */
  predict(latents: NativeTensor, times: NativeTensor, labels: NativeTensor, precision: Precision): Promise<NativeTensor>
}

export interface NativeSamplerProgress {
  done: boolean
  /** The time reached, of the slowest sample. */
  time: number
  /** Evaluations of the field, their rows, and the rows computed for guidance besides. */
  field: number
  samples: number
  guiding: number
}

export interface NativeSampler {
  /** One step, or one attempt at an adaptive one; nothing once it is done. */
  step(): Promise<NativeSamplerProgress>
  /** float32, normalised as the network sees them. */
  latents(): Promise<NativeTensor>
  /** The clean latents that the last step pointed to. */
  preview(): Promise<NativeTensor>
  dispose(): void
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
   * Means since the last call: total, flow, direction, gradNorm. Counts: skipped, steps, and `nonFinite.NAME` for each of the means
   * that was not finite. skippedInARow: up to now.
   */
  metrics(): Promise<Record<string, number>>
  gradients(microBatches: NativeFlowBatch[], step: number): Promise<NativeState>
  /** Groups of a checkpoint: `model`, `ema` and `optimizer`. Live views. */
  state(): Record<string, NativeState>
  load(state: Record<string, NativeState>): Promise<void>
  dispose(): void
}

export interface NativeMappedFile {
  readonly size: number
  /** A zero-copy view of bytes [offset, offset + length) as a tensor; the mapping lives as long as its views. */
  tensor(offset: number, dtype: string, shape: number[]): NativeTensor
  /**
   * Copies pieces of `length` bytes from `offsets` of the file to `positions` of the destination, on libuv's threads. Until the promise
   * settles the destination must not be transferred or detached.
   */
  gather(offsets: number[], positions: number[], length: number, destination: Uint8Array): Promise<void>
  close(): void
}

/** Records by their names without the archive's, and where their bytes lie in the file. */
export interface NativeTorchArchive {
  records: { name: string; offset: number; size: number }[]
  pickle: Uint8Array
}

/** An image scaled to width × height, of which a window is wanted, perhaps mirrored. */
export interface NativeResample {
  filter: 'box' | 'bicubic'
  width: number
  height: number
  left: number
  top: number
  windowWidth: number
  windowHeight: number
  mirror: boolean
}

/** A CUDA device's memory in bytes. */
export interface DeviceMemory {
  /** What this process's tensors take now, and took at most. */
  allocated: number
  peak: number
  /** What LibTorch holds for them. */
  reserved: number
  /** The device's own, whoever uses it. */
  free: number
  total: number
}

/** Spans of host time: LibTorch's operations and autograd nodes by their names, `step`s, and phases (`phase:NAME`). */
export interface NativeProfile {
  names: string[]
  /** [n, 5], in the order in which they ended: index of the name, thread, number (of a step), begin and end in µs. */
  spans: Float64Array
}

export interface Addon {
  /** Versions, capabilities and devices for `doctor`. */
  info(): {
    /** LibTorch's version at compile time. */
    builtAgainst: string
    /** The instruction set of LibTorch's CPU kernels, such as AVX512. */
    cpuCapability: string
    threads: number
    /** Whether the CPU multiplies bfloat16 in hardware. */
    cpuBf16: boolean
    cuda: { available: boolean; devices: number; reason: string }
  }
  setThreads(count: number): void
  /** Handles and unique bytes alive in this environment. */
  memory(): { tensors: number; bytes: number; modelBytes: number }
  /** Null for the CPU, and where libmactok_cuda is not beside the addon. */
  deviceMemory(device: string): Promise<DeviceMemory | null>

  /** Begins to record what all threads do, once the device's queued jobs are done; one at a time in a process. */
  startProfile(device: string): Promise<void>
  stopProfile(device: string): Promise<NativeProfile>

  /** Copies the view's bytes before it returns. */
  tensor(data: ArrayBufferView, dtype: string, shape: number[], device: string): NativeTensor
  cat(tensors: NativeTensor[]): Promise<NativeTensor>
  mapFile(path: string): NativeMappedFile
  /** The directory of a file of `torch.save`'s zip format, and its `data.pkl` of at most `maxPickle` bytes. */
  readTorchArchive(path: string, maxPickle: number): Promise<NativeTorchArchive>

  /** Draw `rows × columns` uniforms in [0, 1) (row-major): row i is a function of (seed, stream, step, firstIndex + i). */
  uniform(seed: number, stream: string, step: number, firstIndex: number, rows: number, columns: number): Float32Array
  normal(seed: number, stream: string, step: number, firstIndex: number, rows: number, columns: number): Float32Array

  /**
   * Antialiased resampling of uint8 [height, width, 3] into [windowHeight, windowWidth, 3], bit for bit Pillow's, on libuv's threads.
   * Neither array is copied: until the promise settles they must not be written, transferred or detached.
   */
  resample(
    source: Uint8Array,
    width: number,
    height: number,
    target: NativeResample,
    destination: Uint8Array
  ): Promise<void>

  /** timm's resample_abs_pos_embed: positions [1, prefix + h·w, D]. */
  resamplePositions(
    positions: NativeTensor,
    prefix: number,
    from: [number, number],
    to: [number, number]
  ): Promise<NativeTensor>
  /** timm's resample_patch_embed: kernel [D, 3, p, p]. */
  resamplePatchKernel(kernel: NativeTensor, patch: number): Promise<NativeTensor>
  /** bool [B, patches] as uint8: the training's masks, or for a given ratio when `minRatio == maxRatio`. scores null: random only. */
  imageMask(
    config: NativeMaskConfig,
    scores: NativeTensor | null,
    seed: number,
    step: number,
    firstIndex: number,
    batch: number,
    patches: number
  ): Promise<NativeTensor>

  createTokenizer(config: NativeTokenizerConfig, device: string, seed: number): Promise<NativeTokenizer>
  createTeacher(config: NativeTeacherConfig, device: string): Promise<NativeTeacher>
  createTokenizerTrainer(
    tokenizer: NativeTokenizer,
    teacher: NativeTeacher | null,
    config: NativeTrainerConfig,
    networks?: { perceptual?: NativePerceptual | null; discriminator?: NativeDiscriminator | null }
  ): Promise<NativeTokenizerTrainer>

  /**
   * Fits multinomial logistic regression on standardised features [n, D] with labels int64 [n], and judges it on others; weights are
   * those of standardised features, float64.
   */
  linearProbe(
    features: NativeTensor,
    labels: NativeTensor,
    validationFeatures: NativeTensor,
    validationLabels: NativeTensor,
    options: { classes: number; l2: number; iterations: number }
  ): Promise<{
    weight: NativeTensor
    bias: NativeTensor
    mean: NativeTensor
    deviation: NativeTensor
    loss: number
    trainAccuracy: number
    validationAccuracy: number
  }>

  createPerceptual(network: 'vgg' | 'alex', device: string): Promise<NativePerceptual>
  /** classes: rows of `fc.weight`; 0: none. */
  createInception(classes: number, device: string): Promise<NativeInception>

  createMoments(width: number, device: string): Promise<NativeMoments>
  /** SSIM of each pair of images uint8 [B, H, W, 3] of at least 11 × 11 pixels, float64 [B]. */
  structuralSimilarity(a: NativeTensor, b: NativeTensor): Promise<NativeTensor>
  /** Between Gaussians of mean [D] and covariance [D, D]. */
  frechetDistance(
    meanA: NativeTensor,
    covarianceA: NativeTensor,
    meanB: NativeTensor,
    covarianceB: NativeTensor
  ): Promise<number>
  /** Squared distance of each row [M, D] to its k-th nearest other one among all [N, D], of which it is one. */
  neighbourRadii(rows: NativeTensor, all: NativeTensor, k: number): Promise<NativeTensor>
  /** bool [M]: whether a row lies within the (squared) radius [N] of one of all [N, D]. */
  inManifold(rows: NativeTensor, all: NativeTensor, radii: NativeTensor): Promise<NativeTensor>
  /** points [G, N, D] */
  principalComponents(points: NativeTensor, count: number): Promise<NativePrincipalComponents>

  /**
   * One of native/kernels under its name in native/bindings/kernels.cpp, or with `precision` null what it stands for, by LibTorch's
   * operations in float64. Gives the output, then the gradient of sum(output · upstream) for each input; float64.
   */
  runKernel(
    name: string,
    inputs: NativeTensor[],
    upstream: NativeTensor,
    precision: Precision | null
  ): Promise<NativeTensor[]>
  /** Seconds that it takes forth and back, the mean of `count` calls. Inputs as the kernel wants them, float32 or bfloat16. */
  timeKernel(
    name: string,
    inputs: NativeTensor[],
    upstream: NativeTensor,
    precision: Precision,
    count: number
  ): Promise<number>

  /** Its heads are initialised from the seed; the backbone's weights must be loaded. */
  createDiscriminator(config: NativeDiscriminatorConfig, device: string, seed: number): Promise<NativeDiscriminator>

  /**
   * DiffAugment of float32 [B, 3, H, W] by given draws, float32 [B, 7] in [0, 1): brightness, saturation, contrast, shift down and
   * right, the square's row and column. With `upstream`, the gradient of sum(images · upstream) too.
   */
  diffAugment(
    images: NativeTensor,
    augmentation: NativeAugmentation,
    draws: NativeTensor,
    upstream: NativeTensor | null
  ): Promise<{ images: NativeTensor; gradient?: NativeTensor }>
  adversarialLosses(
    kind: AdversarialLoss,
    real: NativeTensor,
    fake: NativeTensor
  ): Promise<{ discriminator: NativeTensor; generator: NativeTensor }>
  /** LeCAM over consecutive steps of logits [steps, …]: its terms [steps], and the averages after the last. */
  lecam(
    decay: number,
    real: NativeTensor,
    fake: NativeTensor
  ): Promise<{ losses: NativeTensor; real: NativeTensor; fake: NativeTensor }>

  createGenerator(config: NativeGeneratorConfig, device: string, seed: number): Promise<NativeGenerator>
  /** The exact velocity of a mixture of Gaussians, whose `means`, `deviations` and `weights` are its state. */
  createMixture(
    config: { latentShape: number[]; classes: number; components: number; path: NativeFlowConfig['path'] },
    device: string
  ): Promise<NativeGenerator>
  /** start: noise [B, …] instead of drawn; increments: [steps, B, …] instead of an SDE's drawn ones. */
  createSampler(
    generator: NativeGenerator,
    flow: NativeFlowConfig,
    guidance: NativeGuidance,
    config: NativeSamplerConfig,
    labels: NativeTensor,
    start: NativeTensor | null,
    increments: NativeTensor | null
  ): Promise<NativeSampler>
  /** The losses of a training step at given noise and times, float32 [B] each. */
  flowLosses(
    generator: NativeGenerator,
    flow: NativeFlowConfig,
    loss: NativeFlowLoss,
    latents: NativeTensor,
    labels: NativeTensor,
    noise: NativeTensor,
    times: NativeTensor
  ): Promise<{ flow: NativeTensor; direction: NativeTensor | null }>
  /** What a solver sees at one time: velocity, noise and score, and an SDE's drift and diffusion. */
  flowField(
    generator: NativeGenerator,
    flow: NativeFlowConfig,
    diffusion: NativeDiffusion,
    latents: NativeTensor,
    labels: NativeTensor,
    time: number
  ): Promise<{
    velocity: NativeTensor
    noise: NativeTensor
    score: NativeTensor
    drift: NativeTensor
    diffusion: number
  }>
  /** `ema` is set to the generator's values and follows them. */
  createFlowTrainer(
    generator: NativeGenerator,
    ema: NativeGenerator,
    config: NativeFlowTrainerConfig
  ): Promise<NativeFlowTrainer>
}
