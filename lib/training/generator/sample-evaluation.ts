/** Measures a generator's samples while it trains. */

import { dealOf } from '../../distributed/deal.js'
import type { RankGroup } from '../../distributed/rank-group.js'
import { generatedImages } from '../../evaluation/generated-images.js'
import {
  evaluateGenerationByRanks,
  generationNumbers,
  openReference,
  type Reference
} from '../../evaluation/generation.js'
import { loadNetworks, type Networks } from '../../evaluation/networks.js'
import { countReference, requireImages, requireWeights } from '../../evaluation/prerequisites.js'
import { withoutSecrets } from '../../files/address.js'
import type { Generator } from '../../generator/generator.js'
import type { Tokenizer } from '../../tokenizer/tokenizer.js'
import type { SettledGeneratorConfig } from './settle.js'

interface Parts {
  settings: SettledGeneratorConfig['evaluation']
  seed: number
  tokenizer: Tokenizer
  /** Statistics (`.npz`), or the path of real images. */
  reference: string
  /** Keeps the reference's statistics here, so that a resumed run does not gather them again. */
  file: string
  device: string
  /** Ranks that share the samples, which the first one compares with the reference; null: this process alone. */
  group: RankGroup | null
}

/**
 * Checks what evaluations need, which would otherwise fail at the first one.
 * @param group - ranks that all call this; only the first one reads the reference
 * @throws {RangeError} fewer samples or reference images than a metric needs
 * @throws {MactokError} ERR_FORMAT without the reference, or the weights that the metrics need
 */
export async function checkSampleEvaluation(
  { metrics, samples, references, inception, dinov2 }: SettledGeneratorConfig['evaluation'],
  reference: string,
  group: RankGroup | null
): Promise<void> {
  requireImages('evaluation.samples', metrics, samples)
  await requireWeights('evaluation.metrics', metrics, { inception, dinov2 })
  const checkReference = async () => {
    const images = await countReference('reference', reference)
    if (images === null) return
    requireImages('evaluation.references', metrics, references)
    requireImages(`reference (${withoutSecrets(reference)})`, metrics, images)
  }
  await (group ? group.onlyFirst(checkReference) : checkReference())
}

/** Networks and reference are loaded at the first evaluation. */
export class SampleEvaluation implements Disposable {
  readonly #parts: Parts
  #loaded: { networks: Networks & Disposable; reference: Reference | null } | null = null

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async #load() {
    const { settings, tokenizer, reference, file, device, group } = this.#parts
    const { metrics, inception, dinov2, references: count } = settings
    const networks = await loadNetworks(metrics, { inception, dinov2, device })
    try {
      if (group && !group.isFirst) return { networks, reference: null }
      const { imageSize: size } = tokenizer.config
      const options = { metrics, size, count, partial: file, keep: true }
      return { networks, reference: await openReference(networks, reference, options) }
    } catch (error) {
      networks[Symbol.dispose]()
      throw error
    }
  }

  /** Metrics of samples by name, `gfid` for `fid`; from the same noise every time. Null on ranks other than the first. */
  async evaluate(generator: Generator): Promise<Record<string, number> | null> {
    this.#loaded ??= await this.#load()
    const { networks, reference } = this.#loaded
    const { settings, seed, tokenizer, group } = this.#parts
    const { metrics, samples, steps, guidance } = settings
    const drawing = { sampler: 'heun', steps, guidance, seed, force: true } as const
    const images = generatedImages(generator, tokenizer, samples, drawing, dealOf(group))
    const evaluation = await evaluateGenerationByRanks(group, networks, images, reference, { metrics })
    return evaluation && generationNumbers(evaluation)
  }

  [Symbol.dispose](): void {
    this.#loaded?.reference?.[Symbol.dispose]()
    this.#loaded?.networks[Symbol.dispose]()
  }
}
