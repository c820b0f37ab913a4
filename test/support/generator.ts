import type {
  NativeDiffusion,
  NativeFlowConfig,
  NativeGeneratorConfig,
  NativeGuidance,
  NativeSamplerConfig,
  NativeSamplerProgress,
  NativeTensor
} from '../../lib/native/addon.js'
import type { Golden } from './golden.js'
import { device, floats, loadGolden, native, tensor } from './native.js'
import type { TestingGenerator } from './testing-addon.js'

/** The tiny networks of the goldens: width 48, depth 3, four heads, 10 classes. */
export const generatorConfig = (changes: Partial<NativeGeneratorConfig> = {}): NativeGeneratorConfig => ({
  model: 'sit',
  latentShape: [12, 8],
  patchSize: 1,
  width: 48,
  depth: 3,
  heads: 4,
  mlpRatio: 4,
  classes: 10,
  learnSigma: false,
  qkNorm: false,
  shift: true,
  checkpointing: false,
  ...changes
})

export const flowConfig = (changes: Partial<NativeFlowConfig> = {}): NativeFlowConfig => ({
  path: 'linear',
  prediction: 'velocity',
  time: 'data_at_1',
  ...changes
})

export const diffusionConfig = (changes: Partial<NativeDiffusion> = {}): NativeDiffusion => ({
  form: 'sigma',
  norm: 1,
  lastStep: 'mean',
  lastStepSize: 0.04,
  ...changes
})

export const unguided: NativeGuidance = { scale: 1, low: 0, high: 1, channels: 0, weak: null }

export const samplerConfig = (changes: Partial<NativeSamplerConfig> = {}): NativeSamplerConfig => ({
  method: 'euler',
  steps: 10,
  shift: 1,
  rtol: 1e-5,
  atol: 1e-6,
  control: 'batch',
  state: 'float32',
  diffusion: diffusionConfig(),
  precision: 'fp32',
  graphs: false,
  seed: 0,
  firstIndex: 0,
  ...changes
})

export const labels = (values: number[]): NativeTensor =>
  native().tensor(BigInt64Array.from(values, BigInt), 'int64', [values.length], device)

export const times = (values: number[]): NativeTensor =>
  native().tensor(Float32Array.from(values), 'float32', [values.length], device)

/** A network with a golden's weights; LightningDiT's rotary tables are not parameters of ours. */
export async function goldenGenerator(
  golden: Golden,
  changes: Partial<NativeGeneratorConfig>
): Promise<TestingGenerator> {
  const generator = await native().createGenerator(generatorConfig(changes), device, 0)
  await loadGolden(generator, golden, (name) => name.startsWith('feat_rope.'))
  return generator
}

export interface Sampling {
  flow?: Partial<NativeFlowConfig>
  guidance?: Partial<NativeGuidance>
  config?: Partial<NativeSamplerConfig>
  start?: NativeTensor | null
  increments?: NativeTensor | null
}

/** Samples to the end. */
export async function sample(
  generator: TestingGenerator,
  classes: NativeTensor,
  { flow, guidance, config, start = null, increments = null }: Sampling = {}
): Promise<{ latents: Float32Array; progress: NativeSamplerProgress; steps: number }> {
  const sampler = await native().createSampler(
    generator,
    flowConfig(flow),
    { ...unguided, ...guidance },
    samplerConfig(config),
    classes,
    start,
    increments
  )
  for (let steps = 1; ; steps++) {
    const progress = await sampler.step()
    if (progress.done) return { latents: await floats(await sampler.latents()), progress, steps }
  }
}

/** The mixture of test/golden/mixture.py; label k of 3 is component k alone, label 3 all of them. */
export async function goldenMixture(
  golden: Golden,
  path: NativeFlowConfig['path'] = 'linear'
): Promise<TestingGenerator> {
  const mixture = await native().createMixture({ latentShape: [1, 2], classes: 3, components: 3, path }, device)
  const all = [...golden.floats('weights')]
  const weights = Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1, ...all])
  await mixture.load({
    means: tensor(golden.get('means')),
    deviations: tensor(golden.get('deviations')),
    weights: native().tensor(weights, 'float32', [4, 3], device)
  })
  return mixture
}
