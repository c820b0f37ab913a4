import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { isSettings, natural, pathTo } from '../checks.js'
import { checkOptions, mergeConfig, parseConfig, suggestion } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import type { NativeTokenizer, Precision } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { requireHostMemory } from '../native/memory.js'
import { Owned } from '../native/owned.js'
import { findAndLoad, modelFile, retryIfDeleted } from '../runs/model-folder.js'
import { requireFinite } from '../tensor/finite.js'
import { checkImages, checkPrecision, type Images } from '../tensor/images.js'
import { defaultPrecision } from '../tensor/settings.js'
import { leastActivations } from '../tensor/sizes.js'
import { Tensor } from '../tensor/tensor.js'
import { readSafetensors } from '../weights/reader.js'
import { countElements, hashState, loadNew, saveState } from '../weights/state.js'
import { fileWeights } from '../weights/tensors.js'
import { createNetwork } from './create-network.js'
import { initialiseEncoder } from './encoder-init.js'
import { findTokenizer, writeTokenizerConfig } from './folder.js'
import { type TokenizerPreset, tokenizerPresets } from './presets.js'
import { type TokenizerConfig, type TokenizerConfigInput, tokenizerSchema } from './schema.js'

export interface CreateOptions {
  /** `auto` (default), `cpu`, `cuda`, `cuda:<index>` or `mps`. */
  device?: string
  /** Seed of the initial weights. Default 0. */
  seed?: number
  /** DINOv2 weights to initialise the encoder from: a name such as `dinov2-base`, or a path. Default: none. */
  encoderInit?: string | null
  /** Recompute activations in the backward pass instead of storing them. Default false. */
  checkpointing?: boolean
}

export interface LoadOptions {
  /** `auto` (default), `cpu`, `cuda`, `cuda:<index>` or `mps`. */
  device?: string
  /** Load the weights in training instead of their moving average. Default false. */
  raw?: boolean
  /** Default precision of `encode` and `decode`. Default `fp32`. */
  precision?: Precision
}

export interface EncodeOptions {
  /** Sample the posterior instead of taking its mean. Default false. */
  sample?: boolean
  /** Of the noise, with `sample`. Default 0. */
  seed?: number
  /** With `sample`: the noise of row i depends on (seed, firstIndex + i). Default 0. */
  firstIndex?: number
  /** With `sample`, instead of `firstIndex`: the noise of row i depends on (seed, indices[i]). */
  indices?: readonly number[]
  /** Patches to hide from the encoder: uint8 or bool [B, N], 1 = hidden. */
  mask?: Tensor<'uint8'> | Tensor<'bool'>
  /** Default: the tokenizer's. */
  precision?: Precision
}

export interface Posterior {
  /** [B, L, Z] */
  mean: Tensor<'float32'>
  /** [B, L, Z]; null unless the bottleneck is `kl`. */
  logvar: Tensor<'float32'> | null
}

const createOptions = { device: true, seed: true, encoderInit: true, checkpointing: true } as const
const loadOptions = { device: true, raw: true, precision: true } as const
const encodeOptions = {
  sample: true,
  seed: true,
  firstIndex: true,
  indices: true,
  mask: true,
  precision: true
} as const

/** A 1-D image tokenizer: images to L latent tokens of Z channels, and back. */
export class Tokenizer implements Disposable {
  readonly #network: Owned<NativeTokenizer>

  private constructor(
    network: NativeTokenizer,
    readonly config: TokenizerConfig,
    /** Default precision of `encode` and `decode`. */
    readonly precision: Precision = defaultPrecision
  ) {
    this.#network = new Owned(network, 'tokenizer')
  }

  /** @internal The native handle. Throws ERR_DISPOSED after `dispose()`. */
  get native(): NativeTokenizer {
    return this.#network.handle
  }

  /**
   * Creates a tokenizer with initial weights from a preset's name or a configuration.
   * @throws {TypeError | RangeError} for an unknown preset or setting, suggesting the closest known one
   */
  static async create(config: TokenizerPreset | TokenizerConfigInput, options: CreateOptions = {}): Promise<Tokenizer> {
    checkOptions(options, createOptions)
    const complete = resolveTokenizerConfig(config)
    const { seed = 0, encoderInit = null, checkpointing = false } = options
    natural('seed', seed)
    const device = resolveDevice(options.device)
    const network = await createNetwork(complete, { device, seed, checkpointing })
    try {
      if (encoderInit !== null) await initialiseEncoder(network, complete, encoderInit)
    } catch (error) {
      network.dispose()
      throw error
    }
    return new Tokenizer(network, complete)
  }

  /**
   * Loads a tokenizer from a model folder, a checkpoint, or a run folder (its newest complete checkpoint); averaged
   * weights unless `raw`. Where there is no such folder, `owner/name` is a pulled repository.
   * @throws {MactokError} ERR_FORMAT when the folder has no tokenizer
   */
  static async load(folder: string, options: LoadOptions = {}): Promise<Tokenizer> {
    pathTo('folder', folder)
    checkOptions(options, loadOptions)
    const { raw = false, precision = defaultPrecision } = options
    checkPrecision(precision)
    return retryIfDeleted(folder, async () => {
      const device = resolveDevice(options.device)
      const { found, network } = await findAndLoad(
        (finding) => findTokenizer(folder, raw, finding),
        async ({ config, weights, checksum }) => {
          await using file = await readSafetensors(weights)
          const network = await createNetwork(config, { device, seed: null })
          return await loadNew(network, fileWeights(file), { verification: checksum && { file, ...checksum } })
        }
      )
      return new Tokenizer(network, found.config, precision)
    })
  }

  /** @internal Wraps a network that belongs to a trainer. */
  static wrap(network: NativeTokenizer, config: TokenizerConfig): Tokenizer {
    return new Tokenizer(network, config)
  }

  get device(): string {
    return this.native.device
  }

  /** N, the number of image tokens. */
  get patches(): number {
    return (this.config.imageSize / this.config.patchSize) ** 2
  }

  /** The number of parameters. */
  get parameters(): number {
    return countElements(this.native.state())
  }

  /**
   * Encodes images, uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1], to latents [B, L, Z]: the posterior's mean,
   * or a sample of it.
   * @throws {MactokError} ERR_DIVERGED when the latents are not finite
   */
  async encode(images: Images, options: EncodeOptions = {}): Promise<Tensor<'float32'>> {
    checkImages(images, this.config.imageSize)
    checkOptions(options, encodeOptions)
    const batch = images.shape[0] as number
    const { sample = false, seed = 0, firstIndex = 0, mask, precision = this.precision } = options
    checkPrecision(precision)
    natural('seed', seed)
    natural('firstIndex', firstIndex)
    const { indices = Array.from({ length: batch }, (_, row) => firstIndex + row) } = options
    if (!Array.isArray(indices)) throw invalidParameter('indices', `an array of ${batch} integers`, indices)
    if (indices.length !== batch) throw outOfRange('indices', `${batch} of them, one per image`, indices.length)
    for (const index of indices) natural('indices', index)
    const expected = `[${batch}, ${this.patches}]`
    if (mask !== undefined && !(mask instanceof Tensor)) throw invalidParameter('mask', `a tensor ${expected}`, mask)
    if (mask && `[${mask.shape.join(', ')}]` !== expected) throw outOfRange('mask', expected, `[${mask.shape}]`)
    this.#requireRoom(batch)
    const settings = { precision, sample, seed, indices }
    const latents = await native(this.native.encode(images.native, mask?.native ?? null, settings))
    return requireFinite('latents', Tensor.wrap<'float32'>(latents))
  }

  /** Computes mean and log-variance of the latents' posterior. */
  async posterior(images: Images, options: { precision?: Precision } = {}): Promise<Posterior> {
    checkImages(images, this.config.imageSize)
    checkOptions(options, { precision: true })
    const { precision = this.precision } = options
    checkPrecision(precision)
    this.#requireRoom(images.shape[0] as number)
    const { mean, logvar } = await native(this.native.posterior(images.native, precision))
    const posterior: Posterior = { mean: Tensor.wrap(mean), logvar: logvar && Tensor.wrap(logvar) }
    try {
      await requireFinite('means', posterior.mean)
      if (posterior.logvar) await requireFinite('log-variances', posterior.logvar)
      return posterior
    } catch (error) {
      posterior.mean.dispose()
      posterior.logvar?.dispose()
      throw error
    }
  }

  /** Decodes latents [B, L, Z] to images float32 [B, 3, H, W], about [-1, 1], not clamped. */
  async decode(latents: Tensor, options: { precision?: Precision } = {}): Promise<Tensor<'float32'>> {
    checkOptions(options, { precision: true })
    const { precision = this.precision } = options
    const { latentTokens, latentChannels } = this.config
    if (!(latents instanceof Tensor)) {
      throw invalidParameter('latents', `a tensor [B, ${latentTokens}, ${latentChannels}]`, latents)
    }
    const [batch, ...rest] = latents.shape
    if (!batch || `${rest}` !== `${[latentTokens, latentChannels]}`) {
      throw outOfRange('latents', `shape [B, ${latentTokens}, ${latentChannels}]`, `[${latents.shape}]`)
    }
    checkPrecision(precision)
    this.#requireRoom(batch)
    return requireFinite('images', Tensor.wrap<'float32'>(await native(this.native.decode(latents.native, precision))))
  }

  /** @throws {MactokError} ERR_OUT_OF_MEMORY when so many images cannot be computed at once */
  #requireRoom(images: number): void {
    if (this.device !== 'cpu') return
    const { encoder, decoder, latentTokens } = this.config
    const tokens = this.patches + latentTokens
    const least = images * Math.min(leastActivations(encoder, tokens), leastActivations(decoder, tokens))
    requireHostMemory(`${images} images at once`, least, 'use smaller batches (--batch)')
  }

  /** Saves a model folder: `config.json` and `model.safetensors`, readable without MacTok. */
  async save(folder: string): Promise<void> {
    pathTo('folder', folder)
    await makeFolder(folder)
    const metadata = { format: 'pt', model: 'mactok tokenizer' }
    const checksum = await saveState(join(folder, modelFile), this.native.state(), metadata)
    await writeTokenizerConfig(folder, this.config, { [modelFile]: checksum })
  }

  /**
   * SHA-256 of everything that latents depend on: encoder and posterior projection with their configuration.
   * Fine-tuning the decoder does not change it, so that latents stay valid.
   */
  async identity(): Promise<string> {
    const hash = createHash('sha256')
    const { decoder: _, ...encoding } = this.config
    hash.update(JSON.stringify(encoding))
    await hashState(hash, this.native.state(), (name) => /^(encoder|to_posterior|quantize)\./.test(name))
    return hash.digest('hex')
  }

  /** Frees the weights. Safe to call repeatedly. */
  dispose(): void {
    this.#network.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Completes a configuration, given as a preset's name or in part. */
export function resolveTokenizerConfig(config: TokenizerPreset | TokenizerConfigInput): TokenizerConfig {
  if (typeof config !== 'string' && !isSettings(config))
    throw invalidParameter('config', 'a preset or settings', config)
  if (typeof config !== 'string') return parseConfig(tokenizerSchema, mergeConfig({}, config), 'tokenizer')
  const names = Object.keys(tokenizerPresets)
  if (!names.includes(config)) {
    throw outOfRange('preset', `one of ${names.join(', ')}${suggestion(config, names)}`, config)
  }
  return parseConfig(tokenizerSchema, tokenizerPresets[config], 'tokenizer')
}
