import { MactokError } from '../errors.js'
import type { Tensor } from '../tensor/tensor.js'

export interface Samples {
  /** float32 [B, L, Z] or [B, C, H, W], as the tokenizer decodes them. */
  latents: Tensor<'float32'>
  /** The label of each. */
  labels: Int32Array
  /** float32 [B, 3, H, W], about [-1, 1]; with a tokenizer. */
  images: Tensor<'float32'> | null
  /** Evaluations of the flow, network passes a sample, and passes that guidance added. */
  evaluations: { flow: number; samples: number; guiding: number }
}

export interface SamplingStep {
  /** Steps done (attempts, for dopri5). */
  step: number
  /** Of all, or null for dopri5. */
  steps: number | null
  /** From 0, noise, to 1. */
  time: number
  /** Up to now. */
  evaluations: Samples['evaluations']
  /** What the samples will be about, denormalised [B, …]; only to be asked for before the next step. */
  preview(): Promise<Tensor<'float32'>>
  /** The same as images [B, 3, H, W], or null without a tokenizer. */
  previewImages(): Promise<Tensor<'float32'> | null>
}

/**
 * Samples in the making: a promise, or a loop over the steps, after which the same object can be awaited. Nothing runs before one of
 * the two. Leaving the loop early frees everything; the promise then rejects with ERR_ABORTED.
 */
export class Sampling implements Promise<Samples>, AsyncIterable<SamplingStep> {
  readonly [Symbol.toStringTag] = 'Sampling'
  readonly #steps: AsyncGenerator<SamplingStep, Samples, undefined>
  #result: Promise<Samples> | undefined

  /** @internal */
  constructor(steps: AsyncGenerator<SamplingStep, Samples, undefined>) {
    this.#steps = steps
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SamplingStep, void, undefined> {
    if (this.#result) throw new MactokError('ERR_DISPOSED', 'These samples are being drawn already, or are drawn')
    let settle: { resolve: (samples: Samples) => void; reject: (error: unknown) => void } | undefined
    this.#result = new Promise((resolve, reject) => {
      settle = { resolve, reject }
    })
    this.#result.catch(() => {}) // the loop fails with it
    try {
      settle?.resolve(yield* this.#steps)
    } catch (error) {
      settle?.reject(error)
      throw error
    } finally {
      settle?.reject(new MactokError('ERR_ABORTED', 'The loop over the steps was left before the last one'))
    }
  }

  async #drain(): Promise<void> {
    for await (const _ of this);
  }

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then<T = Samples, F = never>(
    done?: ((samples: Samples) => T | PromiseLike<T>) | null,
    failed?: ((reason: unknown) => F | PromiseLike<F>) | null
  ): Promise<T | F> {
    if (!this.#result) this.#drain().catch(() => {}) // its error is the result's
    return (this.#result as unknown as Promise<Samples>).then(done, failed)
  }

  catch<F = never>(failed?: ((reason: unknown) => F | PromiseLike<F>) | null): Promise<Samples | F> {
    return this.then(null, failed)
  }

  finally(last?: (() => void) | null): Promise<Samples> {
    return this.then().finally(last)
  }
}
