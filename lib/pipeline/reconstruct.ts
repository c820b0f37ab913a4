import { relative, sep } from 'node:path'
import type { z } from 'zod'
import { callbacks, instance, object, pathTo } from '../checks.js'
import { parseConfig } from '../config.js'
import type { Image } from '../data/decode.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import { grid, writePng } from '../data/image.js'
import type { ImageSet, ImageSource } from '../data/image-set.js'
import { asSource } from '../data/image-source.js'
import { sliceImages, toImages } from '../data/levels.js'
import type { Broken } from '../data/reader.js'
import { spread } from '../data/spread.js'
import { outOfRange } from '../errors.js'
import { psnr } from '../evaluation/psnr.js'
import type { NativeTensor } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Teacher } from '../teacher/teacher.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { maskImage } from './images.js'
import { reconstructSchema } from './reconstruct-schema.js'

export interface ReconstructOptions extends z.input<typeof reconstructSchema> {
  /** Shows what semantic masking hides; its grid is the encoder's. */
  teacher?: Teacher | null
  onBroken?: (broken: Broken) => void
}

export interface Reconstructed {
  file: string
  images: number
  /** Mean over the images, in dB. */
  psnr: number
  columns: string[]
}

/**
 * Writes a grid of originals, of what random (and semantic) masking hides in training, and of reconstructions of the
 * whole images.
 * @param file - the PNG to write
 */
export async function reconstruct(
  tokenizer: Tokenizer,
  source: ImageSource | string,
  file: string,
  options: ReconstructOptions = {}
): Promise<Reconstructed> {
  object('options', 'an object', options)
  const { teacher = null, onBroken, ...given } = options
  instance('tokenizer', 'a Tokenizer', Tokenizer, tokenizer)
  if (teacher !== null) instance('teacher', 'a Teacher', Teacher, teacher)
  pathTo('file', file)
  callbacks({ onBroken })
  const settings = parseConfig(reconstructSchema, given)
  const { zoom = Math.max(1, Math.floor(128 / tokenizer.config.imageSize)) } = settings
  const set = await asSource('source', source).open()
  try {
    refuseInput(set, file)
    const { sheet, ...result } = await reconstructionGrid(tokenizer, set, { ...settings, teacher, zoom, onBroken })
    await writePng(file, sheet)
    return { file, ...result }
  } finally {
    await set.close()
  }
}

/** Refuses to write over one of a folder's images, or over the tar that holds them. */
function refuseInput(set: ImageSet, file: string): void {
  const name = relative(set.name, file).replaceAll(sep, '/')
  const isInput = name === '' || Array.from({ length: set.size }, (_, i) => set.sample(i).name).includes(name)
  if (isInput) throw outOfRange('file', 'another file than one of the images', file)
}

/** @internal Draws the grid that `reconstruct` writes, of images spread over a set. */
export async function reconstructionGrid(
  tokenizer: Tokenizer,
  set: ImageSet,
  {
    teacher,
    count,
    ratio,
    seed,
    precision,
    zoom,
    onBroken
  }: Required<z.output<typeof reconstructSchema>> & {
    teacher: Teacher | null
    onBroken?: ((broken: Broken) => void) | undefined
  }
): Promise<Omit<Reconstructed, 'file'> & { sheet: Image }> {
  const { imageSize: size } = tokenizer.config
  const rows: Image[][] = []
  const qualities: number[] = []
  for await (const { images, indices } of evaluationBatches(spread(set, count), { size, batch: 32, onBroken })) {
    using input = tensor(images, [indices.length, size, size, 3], { dtype: 'uint8' })
    using latents = await tokenizer.encode(input, { precision })
    using decoded = await tokenizer.decode(latents, { precision })
    const values = await decoded.toFloat32()
    qualities.push(...psnr(images, values, indices.length))
    const masks = await drawMasks(tokenizer, teacher, input, { ratio, seed, firstIndex: rows.length })
    const reconstructions = toImages(values, decoded.shape)
    for (const [i, original] of sliceImages(images, size).entries()) {
      const masked = masks.map((of) => maskImage(original, of(i)))
      rows.push([original, ...masked, reconstructions[i] as Image])
    }
  }
  const columns = ['original', 'random mask', ...(teacher ? ['semantic mask'] : []), 'reconstruction']
  const sheet = await grid(rows.flat(), columns.length, { zoom, captions: columns })
  const mean = qualities.reduce((sum, quality) => sum + quality, 0) / qualities.length
  return { sheet, images: rows.length, psnr: mean, columns }
}

/**
 * @internal Draws training's masks at one ratio, random and (with a teacher) semantic. Each returned function gives
 *   image i's mask.
 */
export async function drawMasks(
  { config }: Pick<Tokenizer, 'config'>,
  teacher: Teacher | null,
  images: Tensor<'uint8'>,
  { ratio, seed, firstIndex }: { ratio: number; seed: number; firstIndex: number }
): Promise<((image: number) => Uint8Array)[]> {
  const count = images.shape[0] as number
  const patches = (config.imageSize / config.patchSize) ** 2
  const draw = async (scores: NativeTensor | null) => {
    const semantic = scores ? 1 : 0
    const masking = { target: 'image', minRatio: ratio, maxRatio: ratio, semantic, per: 'image' } as const
    const mask = await native(addon().imageMask(masking, scores, seed, 0, firstIndex, count, patches))
    const bytes = new Uint8Array(await native(mask.read()))
    mask.dispose()
    return (image: number) => bytes.subarray(image * patches, (image + 1) * patches)
  }
  const random = await draw(null)
  if (!teacher) return [random]
  using scores = await teacher.similarity(images)
  return [random, await draw(scores.native)]
}
