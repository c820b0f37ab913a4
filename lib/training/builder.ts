import { callback, isSettings } from '../checks.js'
import { mergeConfig, parseConfig } from '../config.js'
import { type DistributedConfig, type DistributedInput, distributedSchema } from '../distributed/schema.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { type ProfileConfig, type ProfileInput, profileSchema } from '../profile/schema.js'
import { Emitter } from './emitter.js'
import type { SharedEvents } from './events.js'
import { checkRunOptions, type FinishedRun, type RunOptions } from './options.js'
import type { Recipe, TrainingRecord } from './recipe.js'
import { runTraining } from './run.js'
import type { SharedConfig, SharedInput } from './schema.js'

/** How a builder resolves the settings of its kind of training, and the events that the kind has. */
interface Kind<Input, Config, Events> {
  /** Completes and validates settings. */
  resolve(input: Input): Config
  eventNames: readonly (keyof Events & string)[]
}

/**
 * Describes a run: every method lays settings over those before and returns the same object.
 * Wrong settings are refused at once, by name.
 */
export abstract class Training<Input extends SharedInput, Config extends SharedConfig, Events extends SharedEvents> {
  protected readonly events = new Emitter<Events>()
  readonly #kind: Kind<Input, Config, Events>
  #settings: Input
  #config: Config
  #profile: ProfileConfig | null = null
  #distributed: DistributedConfig | false = parseConfig(distributedSchema, {}, 'distributed')

  /** @param input - the name of a preset, or settings */
  constructor(input: string | Input, kind: Kind<Input, Config, Events>) {
    this.#kind = kind
    if (typeof input !== 'string' && !isSettings(input))
      throw invalidParameter('settings', 'a preset or settings', input)
    this.#settings = typeof input === 'string' ? ({ preset: input } as Input) : input
    this.#config = kind.resolve(this.#settings)
  }

  /** The recipe with its data. @throws {TypeError} without data */
  protected abstract recipe(): Recipe<TrainingRecord & { config: Config }, unknown>

  /** The settings so far with others laid over them. */
  protected merge(settings: Input): Input {
    return mergeConfig(this.#settings, settings) as Input
  }

  /** The complete configuration, defaults filled in. */
  get config(): Config {
    return this.#config
  }

  /** Any settings, by the names of the configuration: `set({ seed: 1, optimizer: { lr: 1e-3 } })`. */
  set(settings: Input): this {
    if (!isSettings(settings)) throw invalidParameter('settings', 'an object', settings)
    const merged = this.merge(settings)
    this.#config = this.#kind.resolve(merged)
    this.#settings = merged
    return this
  }

  precision(precision: NonNullable<Input['precision']>): this {
    return this.set({ precision } as Input)
  }

  optimizer(optimizer: NonNullable<Input['optimizer']>): this {
    return this.set({ optimizer } as Input)
  }

  loss(loss: NonNullable<Input['loss']>): this {
    return this.set({ loss } as Input)
  }

  checkpoint(checkpoint: NonNullable<Input['checkpoint']>): this {
    return this.set({ checkpoint } as Input)
  }

  /**
   * Profiles some steps after some warm-up steps: `profile/trace.json` in the run folder, for https://ui.perfetto.dev, and
   * `profile/table.md` show where their time goes. The event `profile` names them.
   */
  profile(profile: ProfileInput = {}): this {
    this.#profile = parseConfig(profileSchema, profile, 'profile')
    return this
  }

  /**
   * How this process trains with others. It does where its environment says so (torchrun, `mactok launch`, srun); each rank then computes
   * an equal part of every batch, and the run is the same for any number of ranks. `false`: this process trains alone.
   */
  distributed(distributed: DistributedInput | false = {}): this {
    this.#distributed = distributed === false ? false : parseConfig(distributedSchema, distributed, 'distributed')
    return this
  }

  /**
   * Calls a listener at every event of a name: `start`, `step` (every log interval), `grid`, `checkpoint`, `profile`,
   * `notice`, … Of ranks that train together, only rank 0 has them, but for `notice` and `broken`. Where one throws, or rejects, the run ends as after an interruption, with a checkpoint, and rejects.
   */
  on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): this {
    const { eventNames } = this.#kind
    if (!eventNames.includes(name)) throw outOfRange('event', `one of ${eventNames.join(', ')}`, name)
    callback('listener', listener)
    this.events.on(name, listener)
    return this
  }

  /**
   * Trains; resolves when the last step's checkpoint is written, or after a checkpoint when `signal` aborts.
   * @throws {TypeError|RangeError} wrong options, no data
   * @throws {MactokError} ERR_DISTRIBUTED when another rank is lost, stuck or has failed; ERR_LISTENER after a checkpoint, when a listener failed, with its error as the cause; ERR_DIVERGED after `maxSkipped` steps in a row that were not finite, or when it ends without having learnt;
   * ERR_IN_USE while another training writes the folder; missing weights, unreadable data, a run folder or a tokenizer that does not fit
   */
  async run(options: RunOptions): Promise<FinishedRun> {
    const recipe = this.recipe()
    checkRunOptions(options)
    const { steps } = options
    const config = steps === undefined ? this.#config : this.#kind.resolve(this.merge({ steps } as Input))
    const request = { config, profile: this.#profile, distributed: this.#distributed, events: this.events }
    return runTraining(recipe, request, options)
  }
}
