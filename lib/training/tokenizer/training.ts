import { pathTo } from '../../checks.js'
import { checkOptions } from '../../config.js'
import type { ImageSource } from '../../data/image-set.js'
import { asSource } from '../../data/image-source.js'
import { invalidParameter, outOfRange } from '../../errors.js'
import { Training } from '../builder.js'
import type { FinishedRun } from '../options.js'
import { type TrainingEvents, trainingEventNames } from './events.js'
import { decoderTraining, resolveConfig } from './presets.js'
import { tokenizerRecipe } from './recipe.js'
import { readTokenizerRun } from './record.js'
import type { TrainingConfig, TrainingConfigInput } from './schema.js'

export type TokenizerRun = FinishedRun

/** Describes the training of a tokenizer, or of its decoder alone; `.data(…)…run({ dir })` runs it. */
export class TokenizerTraining extends Training<TrainingConfigInput, TrainingConfig, TrainingEvents> {
  #source: ImageSource | undefined
  #heldOut: ImageSource | undefined

  constructor(input: string | TrainingConfigInput) {
    super(input, { resolve: resolveConfig, eventNames: trainingEventNames })
  }

  protected override recipe() {
    if (!this.#source) throw invalidParameter('data', 'an image source, by .data(imageFolder(path))', undefined)
    return tokenizerRecipe({ source: this.#source, heldOut: this.#heldOut, events: this.events })
  }

  /** Steps that are given replace epochs. */
  protected override merge(settings: TrainingConfigInput): TrainingConfigInput {
    return super.merge(settings?.steps === undefined ? settings : { epochs: null, ...settings })
  }

  /** Images to train on, and others to evaluate on (else `data.heldOut` images are taken out of the first). */
  data(source: ImageSource | string, options: { heldOut?: ImageSource | string } = {}): this {
    checkOptions(options, { heldOut: true })
    this.#source = asSource('source', source)
    this.#heldOut = options.heldOut === undefined ? undefined : asSource('heldOut', options.heldOut)
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
   * The teacher's weights. `auto`: those of the preset; where they are missing, a notice says so and the run trains without semantic
   * masks and alignment. null: always without.
   */
  teacher(weights: 'auto' | (string & {}) | null, options: { patchSize?: number | null } = {}): this {
    checkOptions(options, { patchSize: true })
    return this.set({
      teacher: weights === 'auto' ? { missing: 'skip', ...options } : { weights, missing: 'error', ...options }
    })
  }

  /** The discriminator, on by the name of its backbone's weights (`auto`: the best one found); `false`: none. */
  discriminator(discriminator: NonNullable<TrainingConfigInput['discriminator']> | false): this {
    return this.set({ discriminator: discriminator === false ? { weights: null } : discriminator })
  }

  evaluate(evaluation: NonNullable<TrainingConfigInput['evaluation']>): this {
    return this.set({ evaluation })
  }
}

/** Describes a tokenizer run by a preset or by settings; `.data(…)…run({ dir })` runs it. */
export const trainTokenizer = (preset: string | TrainingConfigInput): TokenizerTraining => new TokenizerTraining(preset)

/**
 * Describes the fine-tuning of a trained run's decoder (method.md §6): encoder and latents stay as they are, so latents
 * that were written before stay valid. Begins with the run's settings, less what only concerns the encoder.
 * @param run - its folder
 * @throws {RangeError} when the folder holds no run
 */
export async function trainDecoder(run: string): Promise<TokenizerTraining> {
  pathTo('run', run)
  const record = await readTokenizerRun(run)
  if (!record) throw outOfRange('run', 'the folder of a tokenizer run', run)
  return new TokenizerTraining(decoderTraining(record.config, run))
}
