import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { natural } from '../checks.js'
import { mergeConfig, parseConfig, suggestion } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import type { NativeTokenizer, Precision } from '../native/addon.js'
import { resolveDevice } from '../native/device.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { modelFile } from '../runs/model-folder.js'
import { checkImages, checkPrecision, type Images } from '../tensor/images.js'
import { Tensor } from '../tensor/tensor.js'
import { readSafetensors } from '../weights/reader.js'
import { countElements, loadWeights, saveState } from '../weights/state.js'
import { fileWeights } from '../weights/tensors.js'
import { initializeEncoder } from './encoder-init.js'
import { findTokenizer, writeModelConfig } from './folder.js'
import { nativeTokenizerConfig } from './native-config.js'
import { type TokenizerPreset, tokenizerPresets } from './presets.js'
import { type TokenizerConfig, type TokenizerConfigInput, tokenizerSchema } from './schema.js'

export interface CreateOptions {
  /** `auto` (default), `cpu`, `cuda` or `cuda:<index>`. */
  device?: string
  /** Decides the initial weights. Default 0. */
  seed?: number
  /** DINOv2 weights to start the encoder from: a name such as `dinov2-base` or a path. Default: none. */
  encoderInit?: string | null
  /** Recompute the blocks in the backward pass instead of keeping their activations. */
  checkpointing?: boolean
}

export interface LoadOptions {
  device?: string
  /** The weights in training instead of their average. Default false. */
  raw?: boolean
  /** Of `encode` and `decode` when they are not told otherwise. Default `fp32`. */
  precision?: Precision
}

export interface EncodeOptions {
  /** Draw from the posterior instead of taking its mean. */
  sample?: boolean
  /** Of `sample`. Default 0. */
  seed?: number
  /** With `sample`: the noise of row i depends on (seed, firstIndex + i). Default 0. */
  firstIndex?: number
  /** With `sample`, instead of `firstIndex`: the noise of row i depends on (seed, indices[i]). */
  indices?: readonly number[]
  /** Patches to hide from the encoder: uint8 or bool [B, N], 1 = hidden. */
  mask?: Tensor<'uint8'> | Tensor<'bool'>
  precision?: Precision
}

export interface Posterior {
  /** [B, L, Z] */
  mean: Tensor<'float32'>
  /** [B, L, Z]; null without a `kl` bottleneck. */
  logvar: Tensor<'float32'> | null
}

/** A 1-D image tokenizer: images to L latent tokens of Z channels, and back. */
export class Tokenizer implements Disposable {
  readonly #native: NativeTokenizer
  #disposed = false

  private constructor(
    network: NativeTokenizer,
    readonly config: TokenizerConfig,
    /** Of `encode` and `decode` when they are not told otherwise. */
    readonly precision: Precision = 'fp32'
  ) {
    this.#native = network
  }

  /** @internal The native handle. Throws ERR_DISPOSED after `dispose()`. */
  get native(): NativeTokenizer {
    if (this.#disposed) throw new MactokError('ERR_DISPOSED', 'This tokenizer is disposed')
    return this.#native
  }

  /**
   * A tokenizer with initial weights, from a preset's name or a configuration.
   * @throws {TypeError | RangeError} an unknown preset or setting, with the nearest known one
   */
  static async create(config: TokenizerPreset | TokenizerConfigInput, options: CreateOptions = {}): Promise<Tokenizer> {
    const complete = resolveTokenizerConfig(config)
    const { seed = 0, encoderInit = null, checkpointing = false } = options
    if (!Number.isSafeInteger(seed) || seed < 0) throw outOfRange('seed', 'a non-negative integer', seed)
    const device = resolveDevice(options.device)
    const network = await native(addon().createTokenizer(nativeTokenizerConfig(complete, checkpointing), device, seed))
    if (encoderInit !== null) await initializeEncoder(network, complete, encoderInit)
    return new Tokenizer(network, complete)
  }

  /**
   * Loads a model folder, a checkpoint, or a run folder (its newest complete checkpoint, averaged weights unless `raw`).
   * @throws {MactokError} ERR_FORMAT when there is none
   */
  static async load(folder: string, options: LoadOptions = {}): Promise<Tokenizer> {
    if (typeof folder !== 'string') throw invalidParameter('folder', 'a path', folder)
    const { raw = false, precision = 'fp32' } = options
    checkPrecision(precision)
    const { config, weights } = await findTokenizer(folder, raw)
    const device = resolveDevice(options.device)
    const network = await native(addon().createTokenizer(nativeTokenizerConfig(config), device, 0))
    const file = await readSafetensors(weights)
    try {
      await loadWeights(network, fileWeights(file))
    } finally {
      await file.close()
    }
    return new Tokenizer(network, config, precision)
  }

  /** @internal A facade on a network of the trainer's. */
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
   * Latents [B, L, Z] of images, uint8 [B, H, W, 3] or float32 [B, 3, H, W] in [-1, 1]: the posterior's mean, or a draw from it.
   */
  async encode(images: Images, options: EncodeOptions = {}): Promise<Tensor<'float32'>> {
    checkImages(images, this.config.imageSize)
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
    const settings = { precision, sample, seed, indices }
    return Tensor.wrap(await native(this.native.encode(images.native, mask?.native ?? null, settings)))
  }

  /** Mean and log-variance of the latents. */
  async posterior(images: Images, { precision = this.precision }: { precision?: Precision } = {}): Promise<Posterior> {
    checkImages(images, this.config.imageSize)
    checkPrecision(precision)
    const { mean, logvar } = await native(this.native.posterior(images.native, precision))
    return { mean: Tensor.wrap(mean), logvar: logvar && Tensor.wrap(logvar) }
  }

  /** Images float32 [B, 3, H, W] of latents [B, L, Z]: about [-1, 1], not clamped. */
  async decode(
    latents: Tensor,
    { precision = this.precision }: { precision?: Precision } = {}
  ): Promise<Tensor<'float32'>> {
    const { latentTokens, latentChannels } = this.config
    if (!(latents instanceof Tensor)) {
      throw invalidParameter('latents', `a tensor [B, ${latentTokens}, ${latentChannels}]`, latents)
    }
    const [batch, ...rest] = latents.shape
    if (!batch || `${rest}` !== `${[latentTokens, latentChannels]}`) {
      throw outOfRange('latents', `shape [B, ${latentTokens}, ${latentChannels}]`, `[${latents.shape}]`)
    }
    checkPrecision(precision)
    return Tensor.wrap(await native(this.native.decode(latents.native, precision)))
  }

  /** Writes a model folder: `config.json` and `model.safetensors`, readable without mactok. */
  async save(folder: string): Promise<void> {
    if (typeof folder !== 'string') throw invalidParameter('folder', 'a path', folder)
    await mkdir(folder, { recursive: true })
    await saveState(join(folder, modelFile), this.native.state(), { format: 'pt', model: 'mactok tokenizer' })
    await writeModelConfig(folder, this.config)
  }

  /**
   * SHA-256 of what decides the latents: encoder and posterior projection with their configuration. A fine-tuned decoder leaves it
   * unchanged, so that latents stay valid.
   */
  async identity(): Promise<string> {
    const hash = createHash('sha256')
    const { decoder: _, ...encoding } = this.config
    hash.update(JSON.stringify(encoding))
    const state = this.native.state()
    for (const name of Object.keys(state).sort()) {
      const tensor = state[name] as (typeof state)[string]
      if (/^(encoder|to_posterior|quantize)\./.test(name)) {
        hash.update(name).update(new Uint8Array(await native(tensor.read())))
      }
      tensor.dispose()
    }
    return hash.digest('hex')
  }

  /** Frees the weights; may be called any number of times. */
  dispose(): void {
    this.#disposed = true
    this.#native.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** A complete configuration from a preset's name or a partial one. */
export function resolveTokenizerConfig(config: TokenizerPreset | TokenizerConfigInput): TokenizerConfig {
  if (typeof config !== 'string') return parseConfig(tokenizerSchema, mergeConfig({}, config), 'tokenizer')
  const names = Object.keys(tokenizerPresets)
  if (!names.includes(config)) {
    throw outOfRange('preset', `one of ${names.join(', ')}${suggestion(config, names)}`, config)
  }
  return parseConfig(tokenizerSchema, tokenizerPresets[config], 'tokenizer')
}
