import type {
  Addon,
  AdversarialLoss,
  NativeAugmentation,
  NativeDiffusion,
  NativeDiscriminator,
  NativeFlowBatch,
  NativeFlowConfig,
  NativeFlowLoss,
  NativeFlowTrainer,
  NativeGenerator,
  NativePerceptual,
  NativeState,
  NativeStepOptions,
  NativeTensor,
  NativeTokenizerTrainer,
  Precision
} from '../../lib/native/addon.js'

/** How one call brings larger images to the backbone's size, in [0, 1): a crop for coin < ½, else area resize. */
export interface NativeCrop {
  coin: number
  top: number
  left: number
}

/** LPIPS with its gradient. */
export interface TestingPerceptual extends NativePerceptual {
  /** The gradient of the mean distance with respect to images, float32 [B,3,H,W]. */
  gradient(images: NativeTensor, targets: NativeTensor): Promise<NativeTensor>
}

export interface TestingDiscriminator extends NativeDiscriminator {
  /** Logits of all levels, float32 [B, levels·N], by running statistics. */
  logits(images: NativeTensor, crop: NativeCrop, precision: Precision): Promise<NativeTensor>
  /** A pass in training mode as the generator makes it: logits, its loss, and its gradient with respect to images. */
  generatorPass(
    images: NativeTensor,
    loss: AdversarialLoss,
    crop: NativeCrop
  ): Promise<{ logits: NativeTensor; loss: NativeTensor; gradient: NativeTensor }>
  /** Two passes in training mode, real then fake: `real`, `fake`, `loss`, and `gradient.NAME` of each parameter of the heads. */
  discriminatorPass(
    real: NativeTensor,
    fake: NativeTensor,
    loss: AdversarialLoss,
    crop: NativeCrop
  ): Promise<NativeState>
}

export interface TestingTokenizerTrainer extends NativeTokenizerTrainer {
  /** Gradients of one step's loss by parameter name, without updating anything. */
  gradients(microBatches: NativeTensor[], options: NativeStepOptions): Promise<NativeState>
}

export interface TestingFlowTrainer extends NativeFlowTrainer {
  /** Gradients of one step's loss by parameter name, without updating anything. */
  gradients(microBatches: NativeFlowBatch[], step: number): Promise<NativeState>
}

export interface TestingGenerator extends NativeGenerator {
  /** The network's output, float32 of the latents' shape; times float32 [B] in its own direction, labels int64 [B]. */
  predict(latents: NativeTensor, times: NativeTensor, labels: NativeTensor, precision: Precision): Promise<NativeTensor>
}

/** What has happened on the stand-in device (native/testing/device). */
export interface DeviceCounts {
  /** Operations that the host launched, by name. */
  operations: Record<string, number>
  /** Where the host waited for all work of a stream, by name. */
  synchronizations: Record<string, number>
  /** How often it waited for a part of a stream's work. */
  waits: number
  /** Graphs that were launched, and their operations. */
  replays: number
  replayed: number
  uploads: number
  allocations: number
  /** The most operations that were queued while the host did not know them to be done. */
  runAhead: number
  /** The most bytes that tensors held beyond what they held before. */
  peakBytes: number
}

/** The addon with native/testing. */
export interface TestingAddon extends Addon {
  createPerceptual(...options: Parameters<Addon['createPerceptual']>): Promise<TestingPerceptual>
  createDiscriminator(...options: Parameters<Addon['createDiscriminator']>): Promise<TestingDiscriminator>
  createTokenizerTrainer(...options: Parameters<Addon['createTokenizerTrainer']>): Promise<TestingTokenizerTrainer>
  createFlowTrainer(...options: Parameters<Addon['createFlowTrainer']>): Promise<TestingFlowTrainer>
  createGenerator(...options: Parameters<Addon['createGenerator']>): Promise<TestingGenerator>

  /** The discriminator's and the generator's loss of given logits. */
  adversarialLosses(
    kind: AdversarialLoss,
    real: NativeTensor,
    fake: NativeTensor
  ): Promise<{ discriminator: NativeTensor; generator: NativeTensor }>
  /** The exact velocity of a mixture of Gaussians, whose `means`, `deviations` and `weights` are its state. */
  createMixture(
    config: { latentShape: number[]; classes: number; components: number; path: NativeFlowConfig['path'] },
    device: string
  ): Promise<TestingGenerator>
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
  /** LeCAM over consecutive steps of logits [steps, …]: its terms [steps], and the averages after the last. */
  lecam(
    decay: number,
    real: NativeTensor,
    fake: NativeTensor
  ): Promise<{ losses: NativeTensor; real: NativeTensor; fake: NativeTensor }>
  /**
   * Runs a kernel of native/kernels by its name in native/testing/kernels.cpp; with `precision` null its reference, by LibTorch's
   * operations in float64. Returns the output, then the gradient of sum(output · upstream) for each input; float64.
   */
  runKernel(
    name: string,
    inputs: NativeTensor[],
    upstream: NativeTensor,
    precision: Precision | null
  ): Promise<NativeTensor[]>
  /** Bytes beside its output that a kernel keeps after its backward pass, while the output lives; inputs as for `timeKernel`. */
  keptByKernel(name: string, inputs: NativeTensor[], upstream: NativeTensor, precision: Precision): Promise<number>
  /** Mean seconds of a forward and backward pass over `count` of them; inputs as the kernel takes them, float32 or bfloat16. */
  timeKernel(
    name: string,
    inputs: NativeTensor[],
    upstream: NativeTensor,
    precision: Precision,
    count: number
  ): Promise<number>

  /** The stand-in device's counts since the last call. */
  deviceCounts(): DeviceCounts
  /** The mistakes that it found since the last call; each was thrown, too. */
  deviceFaults(): string[]
  /** The n-th allocation from now on fails; 0: none does. */
  failAllocation(n: number): void
  /** A device has so many bytes from now on; 0: as many as at the start. */
  limitMemory(bytes: number): void
  /** The n-th operation from now on breaks the device, which shows when the host waits; 0: none does. */
  failOperation(n: number): void
  /** Mends a broken device, which only a new process does on a GPU. */
  recoverDevice(): void
  /** Makes a mistake of native/testing/planted_faults.cpp. */
  plantFault(fault: string, device: string): Promise<void>

  /**
   * Frees every other block of a CPU allocator that assumes pages of one size on a system with another: how many bytes of the other
   * blocks that damaged, and how many bytes went back to the system.
   */
  cpuCache(assumed: number, actual: number): { damaged: number; discarded: number }
  /** How often two threads that multiply by different precisions found each other's. */
  mixedPrecisions(): number
  /** Milliseconds without work after which engines return memory; 10 s by default. */
  releaseWhenIdle(milliseconds: number): void
  /** Threads of a job on the device. */
  engineThreads(device: string): Promise<number>
}
