import { join } from 'node:path'
import { callbacks, instance, natural, pathTo } from '../checks.js'
import { checkOptions, parseConfig } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import type { NativeGenerator, NativeSampler, NativeTensor, Precision } from '../native/addon.js'
import { checkGraphs, resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { requireHostMemory } from '../native/memory.js'
import { Owned } from '../native/owned.js'
import { findAndLoad, modelFile, retryIfDeleted } from '../runs/model-folder.js'
import { requireFinite } from '../tensor/finite.js'
import { checkPrecision } from '../tensor/images.js'
import { defaultPrecision } from '../tensor/settings.js'
import { leastActivations } from '../tensor/sizes.js'
import { Tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { readSafetensors } from '../weights/reader.js'
import { countElements, loadNew, saveState } from '../weights/state.js'
import { fileWeights } from '../weights/tensors.js'
import { type ClassChoice, drawClasses } from './classes.js'
import { createNetwork } from './create-network.js'
import { findGenerator, type GeneratorIdentity, writeGeneratorConfig } from './folder.js'
import { type Samples, Sampling, type SamplingStep } from './samples.js'
import {
  type GuidanceInput,
  nativeSamplerConfig,
  resolveSampling,
  type SamplingConfigInput,
  samplingSchema
} from './sampling.js'
import { type GeneratorConfig, type GeneratorConfigInput, generatorSchema, sequenceLength } from './schema.js'

export interface SampleOptions extends Omit<SamplingConfigInput, 'guidance'> {
  /** Number of samples. Default: the number of classes given, else 1. */
  count?: number
  /**
   * Labels or class names to cycle through. Default: random classes. Sample i's class depends on i, and on the seed if
   * random.
   */
  classes?: ClassChoice
  /** A scale, or `{ scale, low, high, channels }` with times from 0 (noise) to 1 (data). Default: none. */
  guidance?: GuidanceInput
  /** Autoguidance: a weaker generator of the same latents replaces the unconditional prediction. */
  weak?: Generator
  /** Seed of noise and classes. Default 0. */
  seed?: number
  /** Number of the first sample: sample i of one call equals sample 0 of a call with `firstIndex` i. Default 0. */
  firstIndex?: number
  /** Decode with this tokenizer. Without `force`, it must be the one that the generator was trained for. */
  tokenizer?: Tokenizer
  force?: boolean
  precision?: Precision
  /** Run the network as CUDA graphs, which speeds up small models on fast GPUs. Default false. */
  graphs?: boolean
  /** Called after every step. */
  onStep?: (step: SamplingStep) => void
  /** Aborts between two steps with ERR_ABORTED. */
  signal?: AbortSignal
}

export interface GeneratorLoadOptions {
  /** `auto` (default), `cpu`, `cuda`, `cuda:<index>` or `mps`. */
  device?: string
  /** Load the weights in training instead of their moving average. Default false. */
  raw?: boolean
  /** Default precision of `sample`. Default `fp32`. */
  precision?: Precision
}

const sampleOptions = {
  ...(Object.fromEntries(Object.keys(samplingSchema.shape).map((name) => [name, true])) as Record<
    keyof SamplingConfigInput,
    true
  >),
  count: true,
  classes: true,
  weak: true,
  seed: true,
  firstIndex: true,
  tokenizer: true,
  force: true,
  precision: true,
  graphs: true,
  onStep: true,
  signal: true
} as const

/** A class-conditional flow model that turns noise into a tokenizer's latents. */
export class Generator implements Disposable {
  readonly #network: Owned<NativeGenerator>

  private constructor(
    network: NativeGenerator,
    /** @internal */
    readonly identity: GeneratorIdentity,
    readonly precision: Precision = defaultPrecision
  ) {
    this.#network = new Owned(network, 'generator')
  }

  /** @internal The native handle. Throws ERR_DISPOSED after `dispose()`. */
  get native(): NativeGenerator {
    return this.#network.handle
  }

  /** Creates a generator with initial weights, whose latents are not normalised. */
  static async create(
    config: GeneratorConfigInput,
    options: { device?: string; seed?: number } = {}
  ): Promise<Generator> {
    checkOptions(options, { device: true, seed: true })
    const { device, seed = 0 } = options
    const complete = parseConfig(generatorSchema, config, 'generator')
    natural('seed', seed)
    const identity = { config: complete, statistics: null, classNames: null, tokenizer: null }
    return new Generator(await createNetwork(complete, { device: resolveDevice(device), seed }), identity)
  }

  /**
   * Loads a generator from a model folder, a checkpoint, or a run folder (its newest complete checkpoint); averaged
   * weights unless `raw`. Where there is no such folder, `owner/name` is a pulled repository.
   * @throws {MactokError} ERR_FORMAT when the folder has no generator
   */
  static async load(folder: string, options: GeneratorLoadOptions = {}): Promise<Generator> {
    pathTo('folder', folder)
    checkOptions(options, { device: true, raw: true, precision: true })
    const { raw = false, precision = defaultPrecision } = options
    checkPrecision(precision)
    return retryIfDeleted(folder, async () => {
      const device = resolveDevice(options.device)
      const { found, network } = await findAndLoad(
        (finding) => findGenerator(folder, raw, finding),
        async ({ config, weights, checksum }) => {
          await using file = await readSafetensors(weights)
          const network = await createNetwork(config, { device, seed: null })
          return await loadNew(network, fileWeights(file), { verification: checksum && { file, ...checksum } })
        }
      )
      const { weights: _, checksum: __, ...identity } = found
      return new Generator(network, identity, precision)
    })
  }

  /** @internal Wraps a network that belongs to a trainer. */
  static wrap(network: NativeGenerator, identity: GeneratorIdentity, precision: Precision): Generator {
    return new Generator(network, identity, precision)
  }

  get config(): GeneratorConfig {
    return this.identity.config
  }

  get device(): string {
    return this.native.device
  }

  /** Class names by label, if they are known. */
  get classNames(): readonly string[] | null {
    return this.identity.classNames
  }

  /** The number of parameters, fixed positions included (as the originals count). */
  get parameters(): number {
    return countElements(this.native.state())
  }

  /**
   * Draws samples: await the result, or loop over the steps. Sample i depends on seed and firstIndex + i only, so that
   * large numbers can be drawn in parts.
   * @throws {TypeError | RangeError} for wrong options
   * @throws {MactokError} ERR_FORMAT for another tokenizer than the generator's; ERR_ABORTED by the signal;
   *   ERR_DIVERGED when the samples are not finite
   */
  sample(options: SampleOptions = {}): Sampling {
    return new Sampling(this.steps(options))
  }

  /** Yields the steps of `sample`, and returns the samples. */
  async *steps(options: SampleOptions = {}): AsyncGenerator<SamplingStep, Samples, undefined> {
    checkOptions(options, sampleOptions)
    const { count: _, classes: __, weak, seed = 0, firstIndex = 0, tokenizer, force, ...rest } = options
    const { precision = this.precision, graphs = false, onStep, signal, ...settings } = rest
    checkPrecision(precision)
    checkGraphs(graphs, this.device)
    callbacks({ signal, onStep })
    natural('seed', seed)
    natural('firstIndex', firstIndex)
    if (weak !== undefined) instance('weak', 'a Generator', Generator, weak)
    if (tokenizer !== undefined) instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
    const config = resolveSampling(settings)
    const { channels, ...guidance } = config.guidance
    if (weak) this.requireSameFlow(weak)
    if (tokenizer && !force) await Generator.check(this.identity, tokenizer)
    const labels = drawClasses(options, this.identity, (first, rows) =>
      addon().uniform(seed, 'sample/class', 0, first, rows, 1)
    )
    const least = labels.length * leastActivations(this.config, sequenceLength(this.config))
    if (this.device === 'cpu') {
      requireHostMemory(`${labels.length} samples at once`, least, 'draw fewer at a time (--batch)')
    }
    const classes = addon().tensor(BigInt64Array.from(labels, BigInt), 'int64', [labels.length], 'cpu')
    const sampler = await native(
      addon().createSampler(
        this.native,
        this.config.flow,
        { ...guidance, channels: channels ?? 0, weak: weak?.native ?? null },
        nativeSamplerConfig(config, { seed, firstIndex, precision, graphs }),
        classes,
        null,
        null
      )
    ).finally(() => classes.dispose())
    try {
      const total = config.sampler === 'dopri5' ? null : config.steps
      for (let step = 1; ; step++) {
        if (signal?.aborted) throw new MactokError('ERR_ABORTED', `Sampling was aborted after ${step - 1} steps`)
        const { done, time, field, samples, guiding } = await native(sampler.step())
        const evaluations = { flow: field, samples, guiding }
        const preview = () => this.denormalise(sampler.preview())
        const previewImages = async () => {
          if (!tokenizer) return null
          using latents = await preview()
          return tokenizer.decode(latents, { precision })
        }
        const progress = { step, steps: total, time, evaluations, preview, previewImages }
        onStep?.(progress)
        yield progress
        if (done) return await this.finish(sampler, labels, evaluations, tokenizer, precision)
      }
    } finally {
      sampler.dispose()
    }
  }

  /** Refuses a weak generator whose output, which is subtracted from this one's, means something else. */
  private requireSameFlow({ config, identity }: Generator): void {
    const compared: [string, unknown, unknown][] = [
      ['latents of', this.config.latentShape, config.latentShape],
      ['classes', this.config.classes, config.classes],
      ['flow', this.config.flow, config.flow],
      ['statistics of latents', this.identity.statistics, identity.statistics]
    ]
    for (const [what, own, other] of compared) {
      const [expected, received] = [JSON.stringify(own), JSON.stringify(other)]
      if (expected !== received) throw outOfRange('weak', `a generator with ${what} ${expected}`, received)
    }
  }

  private async finish(
    sampler: NativeSampler,
    labels: Int32Array,
    evaluations: Samples['evaluations'],
    tokenizer: Tokenizer | undefined,
    precision: Precision
  ): Promise<Samples> {
    const latents = await requireFinite('samples', await this.denormalise(sampler.latents()))
    try {
      const images = tokenizer ? await tokenizer.decode(latents, { precision }) : null
      return { latents, labels, images, evaluations }
    } catch (error) {
      latents.dispose()
      throw error
    }
  }

  private async denormalise(promise: Promise<NativeTensor>): Promise<Tensor<'float32'>> {
    const latents = Tensor.wrap<'float32'>(await native(promise))
    const { statistics } = this.identity
    if (!statistics) return latents
    using normalised = latents
    return statistics.denormaliseTensor(normalised)
  }

  /**
   * @internal Refuses a tokenizer that did not make the training latents.
   * @throws {MactokError} ERR_FORMAT
   */
  static async check({ config, tokenizer: expected }: GeneratorIdentity, tokenizer: Tokenizer): Promise<void> {
    if (!(tokenizer instanceof Tokenizer)) throw invalidParameter('tokenizer', 'a Tokenizer', tokenizer)
    const { latentTokens, latentChannels } = tokenizer.config
    const [made, decoded] = [`[${config.latentShape}]`, `[${[latentTokens, latentChannels]}]`]
    if (made !== decoded) {
      throw new MactokError('ERR_FORMAT', `The generator makes latents ${made}, but the tokenizer decodes ${decoded}`)
    }
    if (expected !== null && expected !== (await tokenizer.identity())) {
      throw new MactokError(
        'ERR_FORMAT',
        'The generator was trained on the latents of another tokenizer; set `force` to decode with it anyway'
      )
    }
  }

  /** Saves a generator folder: `config.json` and `model.safetensors`, readable without MacTok. */
  async save(folder: string): Promise<void> {
    pathTo('folder', folder)
    await makeFolder(folder)
    const metadata = { format: 'pt', model: 'mactok generator' }
    const checksum = await saveState(join(folder, modelFile), this.native.state(), metadata)
    await writeGeneratorConfig(folder, this.identity, { [modelFile]: checksum })
  }

  dispose(): void {
    this.#network.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
