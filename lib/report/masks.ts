import type { Image } from '../data/decode.js'
import { evaluationBatches } from '../data/evaluation-batches.js'
import { grid } from '../data/image.js'
import { imageSource } from '../data/image-source.js'
import { sliceImages } from '../data/levels.js'
import { isPattern } from '../data/locations.js'
import { spread } from '../data/spread.js'
import { exists } from '../files/stat.js'
import { maskImage } from '../pipeline/images.js'
import { drawMasks } from '../pipeline/reconstruct.js'
import { Teacher } from '../teacher/teacher.js'
import { tensor } from '../tensor/tensor.js'
import type { TokenizerRunRecord } from '../training/tokenizer/record.js'
import { locateWeights } from '../weights/index.js'
import { encodePixels, type ReportImage } from './images.js'

const rows = 4
/** Shown ratios, as fractions of the largest that training draws. */
const parts = [1 / 3, 2 / 3, 1]

interface Options {
  data: string | undefined
  device: string | undefined
}

/**
 * Draws the masks of training on the run's images, from few patches to the most: random, and semantic where the teacher is found.
 * Null where training does not mask images, or the images are no longer there.
 */
export async function drawMaskSheet(
  record: TokenizerRunRecord,
  { data, device }: Options
): Promise<ReportImage | null> {
  const { masking, tokenizer } = record.settled
  const { weights } = record.settled.teacher
  if (masking.target !== 'image' || masking.max === 0) return null
  const from = data ?? record.data.heldOutFrom ?? record.data.from
  if (data === undefined && !isPattern(from) && !(await exists(from))) return null
  const { imageSize: size, patchSize } = tokenizer
  const isFound = weights !== null && masking.semantic > 0 && (await locateWeights(weights)) !== undefined
  using teacher = isFound ? await Teacher.load(weights, { device, grid: size / patchSize }) : null
  const set = await imageSource(from).open()
  try {
    const sheet: Image[] = []
    for await (const { images } of evaluationBatches(spread(set, rows), { size, batch: 1 })) {
      const [original] = sliceImages(images, size) as [Image]
      using input = tensor(images, [1, size, size, 3], { dtype: 'uint8' })
      const ratios = parts.map((part) => part * masking.max)
      const drawn = await Promise.all(
        ratios.map((ratio) =>
          drawMasks({ config: tokenizer }, teacher, input, { ratio, seed: 0, firstIndex: sheet.length })
        )
      )
      // All random masks, then all semantic ones.
      const kinds = teacher ? [0, 1] : [0]
      sheet.push(
        original,
        ...kinds.flatMap((kind) => drawn.map((masks) => maskImage(original, masks[kind]?.(0) ?? [])))
      )
    }
    const captions = ['random', ...(teacher ? ['semantic'] : [])].flatMap((kind) =>
      parts.map((part) => `${kind} ${Math.round(100 * part * masking.max)} %`)
    )
    const zoom = Math.max(1, Math.floor(128 / size))
    const image = await grid(sheet, captions.length + 1, { zoom, captions: ['original', ...captions] })
    const most = `at most ${Math.round(100 * masking.max)} % of the patches, ${Math.round(100 * masking.semantic)} % of the images semantically`
    return { url: await encodePixels(image), caption: `Training masks ${most}.` }
  } finally {
    await set.close()
  }
}
