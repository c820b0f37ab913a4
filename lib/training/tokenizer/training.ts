import { mergeConfig, parseConfig } from '../../config.js'
import type { ImageSource } from '../../data/image-set.js'
import { asSource } from '../../data/image-source.js'
import { invalidParameter, outOfRange } from '../../errors.js'
import { type ProfileConfig, type ProfileInput, profileSchema } from '../../profile/schema.js'
import { Emitter } from '../emitter.js'
import type { RunOptions } from '../options.js'
import { type TrainingEvents, trainingEventNames } from './events.js'
import { decoderTraining, resolveConfig } from './presets.js'
import { runTokenizerTraining, type TokenizerRun } from './recipe.js'
import { readRun } from './record.js'
import type { TrainingConfig, TrainingConfigInput } from './schema.js'

/** Whoever gives steps no longer means epochs. */
const inSteps = (settings: TrainingConfigInput): TrainingConfigInput => ({ epochs: null, ...settings })

/**
 * A tokenizer run in the making: every method lays settings over those before and returns the same object.
 * Wrong settings are refused at once, by name.
 */
export class TokenizerTraining {
  readonly #events = new Emitter<TrainingEvents>()
  #settings: TrainingConfigInput
  #source: ImageSource | undefined
  #heldOut: ImageSource | undefined
  #profile: ProfileConfig | null = null

  constructor(input: string | TrainingConfigInput) {
    if (typeof input !== 'string' && (typeof input !== 'object' || input === null)) {
      throw invalidParameter('preset', 'the name of a preset or settings', input)
    }
    this.#settings = typeof input === 'string' ? { preset: input } : input
    resolveConfig(this.#settings)
  }

  /** The complete configuration, defaults filled in. */
  get config(): TrainingConfig {
    return resolveConfig(this.#settings)
  }

  /** Images to train on, and others to evaluate on (else `data.heldOut` images are taken out of the first). */
  data(source: ImageSource | string, options: { heldOut?: ImageSource | string } = {}): this {
    this.#source = asSource('source', source)
    this.#heldOut = options.heldOut === undefined ? undefined : asSource('heldOut', options.heldOut)
    return this
  }

  /** Any settings, by the names of the configuration: `set({ seed: 1, optimizer: { lr: 1e-3 } })`. */
  set(settings: TrainingConfigInput): this {
    const changed = mergeConfig(this.#settings, settings?.steps === undefined ? settings : inSteps(settings))
    resolveConfig(changed as TrainingConfigInput)
    this.#settings = changed
    return this
  }

  masking(masking: NonNullable<TrainingConfigInput['masking']>): this {
    return this.set({ masking })
  }

  /** What is aligned with the teacher; `false`: nothing. */
  align(align: NonNullable<TrainingConfigInput['align']> | false): this {
    return this.set({ align: align === false ? { local: false, global: false } : align })
  }

  /**
   * The teacher's weights; `auto` trains without semantic masks and alignment, and says so, where the preset's are missing; null always
   * does.
   */
  teacher(weights: 'auto' | (string & {}) | null, options: { patchSize?: number | null } = {}): this {
    return this.set({
      teacher: weights === 'auto' ? { missing: 'skip', ...options } : { weights, missing: 'error', ...options }
    })
  }

  precision(precision: NonNullable<TrainingConfigInput['precision']>): this {
    return this.set({ precision })
  }

  optimizer(optimizer: NonNullable<TrainingConfigInput['optimizer']>): this {
    return this.set({ optimizer })
  }

  loss(loss: NonNullable<TrainingConfigInput['loss']>): this {
    return this.set({ loss })
  }

  /** The discriminator, on by the name of its backbone's weights (`auto`: the best one found); `false`: none. */
  discriminator(discriminator: NonNullable<TrainingConfigInput['discriminator']> | false): this {
    return this.set({ discriminator: discriminator === false ? { weights: null } : discriminator })
  }

  checkpoint(checkpoint: NonNullable<TrainingConfigInput['checkpoint']>): this {
    return this.set({ checkpoint })
  }

  evaluate(evaluation: NonNullable<TrainingConfigInput['evaluation']>): this {
    return this.set({ evaluation })
  }

  /**
   * Profiles some steps, after some that warm up: `profile/trace.json` in the run folder, for https://ui.perfetto.dev, and
   * `profile/table.md` tell where their time goes. The event `profile` names them.
   */
  profile(profile: ProfileInput = {}): this {
    this.#profile = parseConfig(profileSchema, profile, 'profile')
    return this
  }

  /** Calls a listener: `start`, `step` (every log interval), `evaluation`, `checkpoint`, `grid`, `features`, `broken` (an image), `profile`, `notice`. */
  on<Name extends keyof TrainingEvents>(name: Name, listener: (event: TrainingEvents[Name]) => void): this {
    if (!trainingEventNames.includes(name)) throw outOfRange('event', `one of ${trainingEventNames.join(', ')}`, name)
    if (typeof listener !== 'function') throw invalidParameter('listener', 'a function', listener)
    this.#events.on(name, listener)
    return this
  }

  /**
   * Trains, and resolves when the last step's checkpoint is written, or after a checkpoint when `signal` aborts.
   * @throws {TypeError|RangeError} wrong options, no data
   * @throws {MactokError} missing weights, unreadable data, a run folder that does not fit
   */
  run(options: RunOptions): Promise<TokenizerRun> {
    if (!this.#source) throw invalidParameter('data', 'an image source, by .data(imageFolder(path))', undefined)
    const { steps } = options ?? {}
    const config = resolveConfig(
      mergeConfig(this.#settings, steps === undefined ? {} : inSteps({ steps })) as TrainingConfigInput
    )
    const request = {
      config,
      source: this.#source,
      heldOut: this.#heldOut,
      profile: this.#profile,
      events: this.#events
    }
    return runTokenizerTraining(request, options)
  }
}

/** Starts a description of a tokenizer run from a preset or from settings; `.data(…)…run({ dir })` runs it. */
export const trainTokenizer = (preset: string | TrainingConfigInput): TokenizerTraining => new TokenizerTraining(preset)

/**
 * Starts a description of the fine-tuning of a trained run's decoder (method.md §6): encoder and latents stay as they are, so latents
 * that were written before stay valid. Begins with the run's settings, less what only concerns the encoder.
 * @param run - its folder
 * @throws {RangeError} when the folder holds no run
 */
export async function trainDecoder(run: string): Promise<TokenizerTraining> {
  if (typeof run !== 'string') throw invalidParameter('run', 'the folder of a tokenizer run', run)
  const record = await readRun(run)
  if (!record) throw outOfRange('run', 'the folder of a tokenizer run', run)
  return new TokenizerTraining(decoderTraining(record.config, run))
}
