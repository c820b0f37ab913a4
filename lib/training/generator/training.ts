import { pathTo } from '../../checks.js'
import { checkOptions } from '../../config.js'
import { invalidParameter } from '../../errors.js'
import { Training } from '../builder.js'
import type { FinishedRun } from '../options.js'
import { type GeneratorEvents, generatorEventNames } from './events.js'
import { generatorRecipe } from './recipe.js'
import { type GeneratorTrainingConfig, type GeneratorTrainingInput, resolveGeneratorTraining } from './schema.js'

export type GeneratorRun = FinishedRun

/** Describes the training of a generator; `.latents(folder)…run({ dir })` runs it. */
export class GeneratorTraining extends Training<GeneratorTrainingInput, GeneratorTrainingConfig, GeneratorEvents> {
  #shards: string | undefined
  #tokenizer: string | null = null
  #reference: string | null = null

  constructor(input: string | GeneratorTrainingInput) {
    super(input, { resolve: resolveGeneratorTraining, eventNames: generatorEventNames })
  }

  protected override recipe() {
    if (this.#shards === undefined)
      throw invalidParameter('latents', 'a folder of shards, by .latents(folder)', undefined)
    return generatorRecipe({
      shards: this.#shards,
      tokenizer: this.#tokenizer,
      reference: this.#reference,
      events: this.events
    })
  }

  /**
   * The folder of latent shards to train on; with a `tokenizer` folder, grids of decoded samples are written during training, and with
   * a `reference` (real images, or statistics in an `.npz`) samples are evaluated against it.
   */
  latents(folder: string, options: { tokenizer?: string | null; reference?: string | null } = {}): this {
    checkOptions(options, { tokenizer: true, reference: true })
    const { tokenizer = null, reference = null } = options
    pathTo('folder', folder)
    if (tokenizer !== null) pathTo('tokenizer', tokenizer)
    if (reference !== null) pathTo('reference', reference)
    if (reference !== null && tokenizer === null) {
      throw invalidParameter('tokenizer', 'a folder, because samples must be decoded to compare with a reference', null)
    }
    this.#shards = folder
    this.#tokenizer = tokenizer
    this.#reference = reference
    return this
  }

  flow(flow: NonNullable<GeneratorTrainingInput['flow']>): this {
    return this.set({ flow })
  }

  timesteps(timesteps: NonNullable<GeneratorTrainingInput['timesteps']>): this {
    return this.set({ timesteps })
  }

  /** Grids of samples during training; they need the tokenizer of `latents`. */
  grid(grid: NonNullable<GeneratorTrainingInput['grid']>): this {
    return this.set({ grid })
  }
}

/** Describes a generator run by a preset or by settings; `.latents(folder).run({ dir })` runs it. */
export const trainGenerator = (preset: string | GeneratorTrainingInput): GeneratorTraining =>
  new GeneratorTraining(preset)
