import { MactokError } from '../errors.js'
import type { Tensor } from '../tensor/tensor.js'

export interface Samples {
  /** float32 [B, L, Z] or [B, C, H, W], ready to decode. */
  latents: Tensor<'float32'>
  /** [B] */
  labels: Int32Array
  /** float32 [B, 3, H, W], about [-1, 1]; null without a tokenizer. */
  images: Tensor<'float32'> | null
  /** Evaluations of the flow, network passes per sample, and passes added by guidance. */
  evaluations: { flow: number; samples: number; guiding: number }
}

export interface SamplingStep {
  /** Steps taken (attempted, for dopri5). */
  step: number
  /** Total steps; null for dopri5. */
  steps: number | null
  /** From 0 (noise) to 1 (data). */
  time: number
  /** So far. */
  evaluations: Samples['evaluations']
  /** Predicts the final samples, denormalised [B, …]. Valid only until the next step. */
  preview(): Promise<Tensor<'float32'>>
  /** Decodes the preview to images [B, 3, H, W]; null without a tokenizer. */
  previewImages(): Promise<Tensor<'float32'> | null>
}

/**
 * Samples being drawn: await it, or loop over its steps and await it afterwards. Nothing runs before that. Leaving the
 * loop early frees everything, and the promise then rejects with ERR_ABORTED.
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
    if (this.#result) throw new MactokError('ERR_DISPOSED', 'These samples are being drawn or were drawn already')
    let settle: { resolve: (samples: Samples) => void; reject: (error: unknown) => void } | undefined
    this.#result = new Promise((resolve, reject) => {
      settle = { resolve, reject }
    })
    // The loop throws the same error.
    this.#result.catch(() => {})
    try {
      settle?.resolve(yield* this.#steps)
    } catch (error) {
      settle?.reject(error)
      throw error
    } finally {
      settle?.reject(new MactokError('ERR_ABORTED', 'The loop over the steps was left before the last step'))
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
    // The result rejects with the same error.
    if (!this.#result) this.#drain().catch(() => {})
    return (this.#result as unknown as Promise<Samples>).then(done, failed)
  }

  catch<F = never>(failed?: ((reason: unknown) => F | PromiseLike<F>) | null): Promise<Samples | F> {
    return this.then(null, failed)
  }

  finally(last?: (() => void) | null): Promise<Samples> {
    return this.then().finally(last)
  }
}
