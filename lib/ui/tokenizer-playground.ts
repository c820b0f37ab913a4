import { z } from 'zod'
import type { Image } from '../data/decode.js'
import { toImages } from '../data/levels.js'
import { psnr } from '../evaluation/psnr.js'
import { errorImage, maskImage } from '../pipeline/images.js'
import { drawMasks } from '../pipeline/reconstruct.js'
import { Teacher } from '../teacher/teacher.js'
import { tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { locateWeights } from '../weights/index.js'
import { imageUrl, Newest } from './newest.js'
import { readUpload } from './upload.js'

export const reconstructionRequest = z.strictObject({
  ratio: z.coerce.number().min(0).max(1),
  kind: z.enum(['random', 'semantic']),
  seed: z.coerce.number().int().nonnegative()
})
export type ReconstructionRequest = z.output<typeof reconstructionRequest>

export interface Reconstruction {
  /** PNG files as data URLs; masked patches are grey, the error runs from dark to bright. */
  images: Record<'original' | 'masked' | 'reconstruction' | 'error', string>
  /** dB */
  psnr: number
  /** The number of masked patches, of `patches`. */
  hidden: number
  patches: number
  /** Step of the checkpoint. */
  step: number
}

/** Reconstructs images with the newest checkpoint of a tokenizer run, which is loaded at the first request. */
export class TokenizerPlayground implements Disposable {
  readonly kind = 'tokenizer'
  readonly #newest: Newest<Tokenizer>
  readonly #device: string
  readonly #teacherName: string
  #teacher: Teacher | undefined

  /** @param teacher - DINOv2 for semantic masks, where it is found */
  constructor(run: string, device: string, teacher: string) {
    this.#newest = new Newest(run, (folder) => Tokenizer.load(folder, { device }))
    this.#device = device
    this.#teacherName = teacher
  }

  async describe(): Promise<{ kind: 'tokenizer'; semantic: boolean; teacher: string }> {
    const teacher = this.#teacherName
    return { kind: 'tokenizer', semantic: (await locateWeights(teacher)) !== undefined, teacher }
  }

  /** @throws {MactokError} ERR_FORMAT for an upload that is no image, and before the first checkpoint */
  async reconstruct(upload: Buffer, { ratio, kind, seed }: ReconstructionRequest): Promise<Reconstruction> {
    const { model: tokenizer, step } = await this.#newest.get()
    const { imageSize: size, patchSize } = tokenizer.config
    const original = await readUpload(upload, size)
    using input = tensor(original.data, [1, size, size, 3], { dtype: 'uint8' })
    const teacher = kind === 'semantic' ? await this.#loadTeacher(size / patchSize) : null
    const masks = await drawMasks(tokenizer, teacher, input, { ratio, seed, firstIndex: 0 })
    const hidden = (masks.at(-1) as (image: number) => Uint8Array)(0)
    using mask = tensor(hidden, [1, hidden.length], { dtype: 'uint8' })
    using latents = await tokenizer.encode(input, { mask })
    using decoded = await tokenizer.decode(latents)
    const values = await decoded.toFloat32()
    const [reconstruction] = toImages(values, decoded.shape) as [Image]
    const images = {
      original,
      masked: maskImage(original, hidden),
      reconstruction,
      error: errorImage(original, reconstruction)
    }
    const urls = await Promise.all(Object.entries(images).map(async ([name, one]) => [name, await imageUrl(one)]))
    return {
      images: Object.fromEntries(urls),
      psnr: psnr(original.data, values, 1)[0] as number,
      hidden: hidden.reduce((sum, one) => sum + one, 0),
      patches: hidden.length,
      step
    }
  }

  async #loadTeacher(grid: number): Promise<Teacher> {
    this.#teacher ??= await Teacher.load(this.#teacherName, { device: this.#device, grid })
    return this.#teacher
  }

  [Symbol.dispose](): void {
    this.#newest[Symbol.dispose]()
    this.#teacher?.dispose()
  }
}
