import { z } from 'zod'
import { natural } from '../config.js'
import { toImages } from '../data/levels.js'
import { MactokError } from '../errors.js'
import { Generator } from '../generator/generator.js'
import type { Tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { imageUrl, Newest } from './newest.js'

export const sampleRequest = z.strictObject({
  /** Labels used in turn; empty: drawn from all. */
  classes: z.array(natural).max(1000),
  count: z.number().int().min(1).max(64),
  steps: z.number().int().min(1).max(250),
  guidance: z.number().min(0).max(20),
  seed: natural
})
export type SampleRequest = z.output<typeof sampleRequest>

/** One line of the response: the progress, from time to time with a preview, at the end with the samples. */
export interface SampleProgress {
  step: number
  steps: number | null
  done: boolean
  /** PNG files as data URLs. */
  images?: string[]
  labels?: number[]
}

/** Milliseconds between previews. */
const previewEvery = 600

/** Draws samples from the newest checkpoint of a generator run, which is loaded at the first request. */
export class GeneratorPlayground implements Disposable {
  readonly kind = 'generator'
  readonly #newest: Newest<Generator>
  readonly #device: string
  readonly #tokenizerFolder: string | null
  #tokenizer: Tokenizer | undefined

  /** @param tokenizer - the folder of the tokenizer that decodes */
  constructor(run: string, device: string, tokenizer: string | null) {
    this.#newest = new Newest(run, (folder) => Generator.load(folder, { device }))
    this.#device = device
    this.#tokenizerFolder = tokenizer
  }

  /** @throws {MactokError} ERR_FORMAT before the first checkpoint */
  async describe(): Promise<{ kind: 'generator'; decodes: boolean; classes: number; names: readonly string[] | null }> {
    const { model } = await this.#newest.get()
    const decodes = this.#tokenizerFolder !== null
    return { kind: 'generator', decodes, classes: model.config.classes, names: model.classNames }
  }

  /** @throws {MactokError} without a tokenizer, or before the first checkpoint */
  async *sample(request: SampleRequest, signal: AbortSignal): AsyncGenerator<SampleProgress> {
    const { model: generator } = await this.#newest.get()
    const tokenizer = await this.#loadTokenizer()
    const { classes, ...settings } = request
    const steps = generator.steps({
      ...settings,
      classes: classes.length > 0 ? classes : undefined,
      sampler: 'heun',
      tokenizer,
      signal
    })
    let last = performance.now()
    for (;;) {
      const { value, done } = await steps.next()
      if (done) {
        using _ = value.latents
        using images = value.images as Tensor<'float32'>
        const { steps: total } = request
        yield { step: total, steps: total, done: true, images: await imageUrls(images), labels: [...value.labels] }
        return
      }
      const { step, steps: total } = value
      if (performance.now() - last < previewEvery) {
        yield { step, steps: total, done: false }
        continue
      }
      using preview = await value.preview()
      using images = await tokenizer.decode(preview)
      yield { step, steps: total, done: false, images: await imageUrls(images) }
      last = performance.now()
    }
  }

  async #loadTokenizer(): Promise<Tokenizer> {
    if (this.#tokenizerFolder === null) {
      const command = 'mactok ui <run> --tokenizer <folder>'
      throw new MactokError('ERR_FORMAT', `Sampling needs the tokenizer that decodes: ${command}`)
    }
    this.#tokenizer ??= await Tokenizer.load(this.#tokenizerFolder, { device: this.#device })
    return this.#tokenizer
  }

  [Symbol.dispose](): void {
    this.#newest[Symbol.dispose]()
    this.#tokenizer?.dispose()
  }
}

async function imageUrls(images: Tensor<'float32'>): Promise<string[]> {
  return Promise.all(toImages(await images.data(), images.shape).map(imageUrl))
}
