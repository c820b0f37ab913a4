import type { Image } from '../data/decode.js'
import { encodePng } from '../data/image.js'
import { MactokError } from '../errors.js'
import { newestCheckpoint } from '../runs/checkpoint.js'
import { retryIfDeleted } from '../runs/model-folder.js'

/** The model of a run's newest checkpoint, loaded on demand and again when there is a newer one. */
export class Newest<Model extends Disposable> implements Disposable {
  #loaded: { model: Model; step: number } | undefined

  constructor(
    private readonly run: string,
    private readonly load: (folder: string) => Promise<Model>
  ) {}

  /** @throws {MactokError} ERR_FORMAT before the first checkpoint */
  get(): Promise<{ model: Model; step: number }> {
    return retryIfDeleted(this.run, () => this.#load())
  }

  async #load(): Promise<{ model: Model; step: number }> {
    const checkpoint = await newestCheckpoint(this.run)
    if (!checkpoint) throw new MactokError('ERR_FORMAT', 'There is no checkpoint yet')
    const { step } = checkpoint.state
    if (this.#loaded?.step === step) return this.#loaded
    const model = await this.load(checkpoint.folder)
    this.#loaded?.model[Symbol.dispose]()
    this.#loaded = { model, step }
    return this.#loaded
  }

  [Symbol.dispose](): void {
    this.#loaded?.model[Symbol.dispose]()
  }
}

/** An image as the data URL of a PNG. */
export const imageUrl = async (image: Image): Promise<string> =>
  `data:image/png;base64,${(await encodePng(image)).toString('base64')}`
