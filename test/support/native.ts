import type {
  NativeMaskConfig,
  NativeModule,
  NativeState,
  NativeTensor,
  NativeTokenizerConfig,
  NativeTrainerConfig,
  NativeVitConfig
} from '../../lib/native/addon.js'
import { addon } from '../../lib/native/load.js'
import type { Golden, Reference } from './golden.js'
import type { TestingAddon } from './testing-addon.js'
import { vitDefaults } from './vit.mjs'

/** Where the suite runs: MACTOK_TEST_DEVICE, else the CPU. */
export const device = process.env.MACTOK_TEST_DEVICE ?? 'cpu'

/** The addon with native/testing, which jest.config.js selects; loaded by the first call. */
export const native = (): TestingAddon => addon() as TestingAddon

export type Changes<T> = { [K in keyof T]?: T[K] extends object ? Partial<T[K]> : T[K] }

/** A tiny vision transformer of the goldens: width 8, two heads, two blocks. */
export const vit = (changes: Partial<NativeVitConfig> = {}): NativeVitConfig => ({
  width: 8,
  depth: 2,
  heads: 2,
  ...vitDefaults,
  ...changes
})

/** 16×16 images, 16 patches, 4 latents of 3 channels. */
export const tokenizerConfig = (changes: Partial<NativeTokenizerConfig> = {}): NativeTokenizerConfig => ({
  imageSize: 16,
  patchSize: 4,
  latentTokens: 4,
  latentChannels: 3,
  bottleneck: 'kl',
  logvarRange: [-30, 20],
  encoder: vit(),
  decoder: vit({ cls: false }),
  prune: true,
  checkpointing: false,
  ...changes
})

export const masking = (changes: Partial<NativeMaskConfig> = {}): NativeMaskConfig => ({
  target: 'image',
  minRatio: -0.1,
  maxRatio: 0.7,
  semantic: 0.5,
  per: 'image',
  ...changes
})

export const trainerConfig = (changes: Changes<NativeTrainerConfig> = {}): NativeTrainerConfig => {
  const base: NativeTrainerConfig = {
    seed: 77,
    precision: 'fp32',
    graphs: false,
    masking: masking(),
    alignment: { local: true, global: true, shared: false, hidden: 6, on: 'sample' },
    reconstruction: 'mse',
    optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
    ema: { decay: 0.9999, warmup: true }
  }
  return {
    ...base,
    ...changes,
    masking: { ...base.masking, ...changes.masking },
    alignment: { ...base.alignment, ...changes.alignment },
    optimizer: { ...base.optimizer, ...changes.optimizer },
    ema: { ...base.ema, ...changes.ema }
  } as NativeTrainerConfig
}

export const tensor = ({ data, dtype, shape }: Reference): NativeTensor => native().tensor(data, dtype, shape, device)

export const tensors = (references: Record<string, Reference>): NativeState =>
  Object.fromEntries(Object.entries(references).map(([name, reference]) => [name, tensor(reference)]))

export const floats = async (handle: NativeTensor): Promise<Float32Array> => new Float32Array(await handle.read())

export const bytes = async (handle: NativeTensor): Promise<Uint8Array> => new Uint8Array(await handle.read())

/** Every tensor of a state, read. */
export const readState = async (state: NativeState): Promise<Record<string, Float32Array>> =>
  Object.fromEntries(
    await Promise.all(Object.entries(state).map(async ([name, t]) => [name, await floats(t)] as const))
  )

/** Loads the weights that a golden stores below `w.`, except those whose name `skip` accepts. */
export const loadGolden = (model: NativeModule, golden: Golden, skip = (_: string) => false): Promise<void> => {
  const weights = Object.entries(golden.under('w.')).filter(([name]) => !skip(name))
  return model.load(tensors(Object.fromEntries(weights)))
}

/** uint8 [batch, size, size, 3] of pseudo-random smooth images that depend on `seed` alone. */
export function randomImages(seed: number, batch: number, size: number, on = device): NativeTensor {
  const noise = native().uniform(seed, 'test/images', 0, 0, batch, 9)
  const data = new Uint8Array(batch * size * size * 3)
  for (let i = 0, at = 0; i < batch; i++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        for (let c = 0; c < 3; c++) {
          const [fx, fy, phase] = noise.subarray(i * 9 + c * 3, i * 9 + c * 3 + 3) as unknown as [
            number,
            number,
            number
          ]
          data[at++] = 127.5 + 110 * Math.sin((fx * x + fy * y) * 0.8 + phase * 12)
        }
      }
    }
  }
  return native().tensor(data, 'uint8', [batch, size, size, 3], on)
}
