import { mergeConfig, parseConfig } from '../../config.js'
import { invalidParameter, outOfRange } from '../../errors.js'
import { type ProfileConfig, type ProfileInput, profileSchema } from '../../profile/schema.js'
import { Emitter } from '../emitter.js'
import type { RunOptions } from '../options.js'
import { type GeneratorEvents, generatorEventNames } from './events.js'
import { type GeneratorRun, runGeneratorTraining } from './recipe.js'
import { type GeneratorTrainingConfig, type GeneratorTrainingInput, resolveGeneratorTraining } from './schema.js'

/**
 * A generator run in the making: every method lays settings over those before and returns the same object.
 * Wrong settings are refused at once, by name.
 */
export class GeneratorTraining {
  readonly #events = new Emitter<GeneratorEvents>()
  #settings: GeneratorTrainingInput
  #shards: string | undefined
  #tokenizer: string | null = null
  #profile: ProfileConfig | null = null

  constructor(input: string | GeneratorTrainingInput) {
    if (typeof input !== 'string' && (typeof input !== 'object' || input === null)) {
      throw invalidParameter('preset', 'the name of a preset or settings', input)
    }
    this.#settings = typeof input === 'string' ? { preset: input } : input
    resolveGeneratorTraining(this.#settings)
  }

  /** The complete configuration, defaults filled in. */
  get config(): GeneratorTrainingConfig {
    return resolveGeneratorTraining(this.#settings)
  }

  /** The folder of latent shards to train on; with a `tokenizer` folder, grids of decoded samples are written on the way. */
  latents(folder: string, { tokenizer = null }: { tokenizer?: string | null } = {}): this {
    if (typeof folder !== 'string' || folder === '') throw invalidParameter('folder', 'a folder of shards', folder)
    if (tokenizer !== null && typeof tokenizer !== 'string') {
      throw invalidParameter('tokenizer', "a tokenizer's folder", tokenizer)
    }
    this.#shards = folder
    this.#tokenizer = tokenizer
    return this
  }

  /** Any settings, by the names of the configuration: `set({ seed: 1, optimizer: { lr: 1e-3 } })`. */
  set(settings: GeneratorTrainingInput): this {
    const changed = mergeConfig(this.#settings, settings)
    resolveGeneratorTraining(changed as GeneratorTrainingInput)
    this.#settings = changed
    return this
  }

  flow(flow: NonNullable<GeneratorTrainingInput['flow']>): this {
    return this.set({ flow })
  }

  timesteps(timesteps: NonNullable<GeneratorTrainingInput['timesteps']>): this {
    return this.set({ timesteps })
  }

  precision(precision: NonNullable<GeneratorTrainingInput['precision']>): this {
    return this.set({ precision })
  }

  optimizer(optimizer: NonNullable<GeneratorTrainingInput['optimizer']>): this {
    return this.set({ optimizer })
  }

  loss(loss: NonNullable<GeneratorTrainingInput['loss']>): this {
    return this.set({ loss })
  }

  checkpoint(checkpoint: NonNullable<GeneratorTrainingInput['checkpoint']>): this {
    return this.set({ checkpoint })
  }

  /** Grids of samples on the way; they need the tokenizer of `latents`. */
  grid(grid: NonNullable<GeneratorTrainingInput['grid']>): this {
    return this.set({ grid })
  }

  /**
   * Profiles some steps, after some that warm up: `profile/trace.json` in the run folder, for https://ui.perfetto.dev, and
   * `profile/table.md` tell where their time goes. The event `profile` names them.
   */
  profile(profile: ProfileInput = {}): this {
    this.#profile = parseConfig(profileSchema, profile, 'profile')
    return this
  }

  /** Calls a listener: `start`, `step` (every log interval), `grid`, `checkpoint`, `profile`, `notice`. */
  on<Name extends keyof GeneratorEvents>(name: Name, listener: (event: GeneratorEvents[Name]) => void): this {
    if (!generatorEventNames.includes(name)) throw outOfRange('event', `one of ${generatorEventNames.join(', ')}`, name)
    if (typeof listener !== 'function') throw invalidParameter('listener', 'a function', listener)
    this.#events.on(name, listener)
    return this
  }

  /**
   * Trains, and resolves when the last step's checkpoint is written, or after a checkpoint when `signal` aborts.
   * @throws {TypeError|RangeError} wrong options, no latents
   * @throws {MactokError} ERR_DIVERGED after `maxSkipped` steps that were not finite; unreadable shards, another tokenizer than theirs, a run folder that does not fit
   */
  run(options: RunOptions): Promise<GeneratorRun> {
    if (this.#shards === undefined)
      throw invalidParameter('latents', 'a folder of shards, by .latents(folder)', undefined)
    const { steps } = options ?? {}
    const config = resolveGeneratorTraining(
      mergeConfig(this.#settings, steps === undefined ? {} : { steps }) as GeneratorTrainingInput
    )
    const request = {
      config,
      shards: this.#shards,
      tokenizer: this.#tokenizer,
      profile: this.#profile,
      events: this.#events
    }
    return runGeneratorTraining(request, options)
  }
}

/** Starts a description of a generator run from a preset or from settings; `.latents(folder).run({ dir })` runs it. */
export const trainGenerator = (preset: string | GeneratorTrainingInput): GeneratorTraining =>
  new GeneratorTraining(preset)
