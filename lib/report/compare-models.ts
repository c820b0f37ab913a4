/** What the networks of compared runs make of the same images or noise. */

import type { Image } from '../data/decode.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import { grid } from '../data/image.js'
import { imageSource } from '../data/image-source.js'
import { sliceImages, toImages } from '../data/levels.js'
import { spread } from '../data/spread.js'
import { MactokError } from '../errors.js'
import { encodeSamples } from '../evaluation/latent-samples.js'
import { type LatentSummary, summariseLatents } from '../evaluation/latent-space.js'
import { psnr } from '../evaluation/psnr.js'
import { Generator } from '../generator/generator.js'
import { maskImage } from '../pipeline/images.js'
import { drawMasks } from '../pipeline/reconstruct.js'
import type { Tensor } from '../tensor/tensor.js'
import { tensor } from '../tensor/tensor.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import type { CompareConfig } from './compare-schema.js'
import type { OpenedRun } from './entries.js'
import { encodePixels, type ReportImage } from './images.js'

/** What a tokenizer does to images. */
export interface TokenizerOutcome {
  /** Images one below the other: as they are, with a random mask, and the reconstructions of both. */
  columns: Record<'original' | 'masked' | 'reconstruction' | 'ofMasked', ReportImage>
  latents: LatentSummary
}

export interface Options extends CompareConfig {
  device: string | undefined
  signal: AbortSignal | undefined
}

/** Draws images below each other, each about 128 pixels wide or its own size. */
async function drawColumn(images: readonly Image[], caption: string): Promise<ReportImage> {
  const size = images[0]?.width ?? 128
  return { url: await encodePixels(await grid(images, 1, { zoom: Math.max(1, Math.floor(128 / size)) })), caption }
}

/** Reconstructs images of `from` with a run's averaged weights, whole and masked, and summarises their latents. */
export async function describeTokenizer({ dir }: OpenedRun, from: string, options: Options): Promise<TokenizerOutcome> {
  const { count, ratio, seed, precision, device, signal } = options
  using tokenizer = await Tokenizer.load(dir, { device, precision })
  const { imageSize: size } = tokenizer.config
  const source = imageSource(from)
  const set = await source.open()
  const columns = { original: [], masked: [], reconstruction: [], ofMasked: [] } as Record<string, Image[]>
  const decibels: Record<'whole' | 'masked', number[]> = { whole: [], masked: [] }
  try {
    for await (const { images, indices } of evaluationBatches(spread(set, count), { size, batch: 16 })) {
      const rows = indices.length
      using input = tensor(images, [rows, size, size, 3], { dtype: 'uint8' })
      const firstIndex = columns.original?.length ?? 0
      const [maskOf] = await drawMasks(tokenizer, null, input, { ratio, seed, firstIndex })
      const hidden = Array.from({ length: rows }, (_, i) => maskOf?.(i) ?? new Uint8Array(tokenizer.patches))
      using mask = tensor(Uint8Array.from(hidden.flatMap((one) => [...one])), [rows, tokenizer.patches], {
        dtype: 'uint8'
      })
      const originals = sliceImages(images, size)
      columns.original?.push(...originals)
      columns.masked?.push(...originals.map((image, i) => maskImage(image, hidden[i] as Uint8Array)))
      for (const [name, given] of Object.entries({ whole: undefined, masked: mask })) {
        using latents = await tokenizer.encode(input, { ...(given && { mask: given }) })
        using decoded = await tokenizer.decode(latents)
        const values = await decoded.toFloat32()
        decibels[name as 'whole' | 'masked'].push(...psnr(images, values, rows))
        columns[name === 'whole' ? 'reconstruction' : 'ofMasked']?.push(...toImages(values, decoded.shape))
      }
    }
  } finally {
    await set.close()
  }
  const mean = (values: number[]) => `${(values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1)} dB`
  const column = (name: string, caption: string) => drawColumn(columns[name] as Image[], caption)
  return {
    columns: {
      original: await column('original', ''),
      masked: await column('masked', ''),
      reconstruction: await column('reconstruction', mean(decibels.whole)),
      ofMasked: await column('ofMasked', mean(decibels.masked))
    },
    latents: await summariseLatents(
      await encodeSamples(tokenizer, source, { count: options.latents, precision: options.precision, signal })
    )
  }
}

/** Draws samples with a generator's averaged weights: of the classes in turn, from the noise of the seed. */
export async function describeGenerator(
  { dir, record }: OpenedRun,
  decoder: string | undefined,
  options: Options
): Promise<ReportImage> {
  const { count, seed, steps, guidance, precision, device, signal } = options
  const recorded = record.kind === 'generator' ? record.data.tokenizerFrom : null
  const folder = decoder ?? recorded
  if (folder === null) throw new MactokError('ERR_FORMAT', 'the run names no tokenizer; --tokenizer does')
  using tokenizer = await Tokenizer.load(folder, { device, precision })
  using generator = await Generator.load(dir, { device, precision })
  const { classes } = generator.config
  const { latents, images } = await generator.sample({
    count,
    classes: Array.from({ length: Math.min(count, classes) }, (_, i) => i),
    steps,
    guidance,
    seed,
    tokenizer,
    force: true,
    ...(signal && { signal })
  })
  using _ = latents
  using decoded = images as Tensor<'float32'>
  return drawColumn(toImages(await decoded.data(), decoded.shape), classes > 1 ? 'classes in turn' : 'samples')
}
