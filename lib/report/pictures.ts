/** Pictures of a report: all inside the file. */

import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { imageSource } from '../data/image-source.js'
import { loadSharp } from '../data/sharp.js'
import { reconstruct } from '../pipeline/reconstruct.js'
import { Teacher } from '../teacher/teacher.js'
import { Tokenizer } from '../tokenizer/tokenizer.js'
import { locateWeights } from '../weights/index.js'
import { type AnyRunRecord, listGrids } from './run-folder.js'

export interface ReportPicture {
  /** A data URL. */
  url: string
  caption: string
  step?: number
}

/** A file as a data URL; photographs in PNG become WebP, a tenth of the size. */
async function inlined(path: string): Promise<string> {
  if (extname(path) === '.svg') return `data:image/svg+xml;base64,${(await readFile(path)).toString('base64')}`
  const sharp = await loadSharp()
  const bytes = await sharp(path).webp({ quality: 88 }).toBuffer()
  return `data:image/webp;base64,${bytes.toString('base64')}`
}

/** Grids over time, oldest first: the newest, the first, and others spread between. */
export async function gridsOverTime(run: string, most: number): Promise<ReportPicture[]> {
  const all = await listGrids(run)
  const count = Math.min(most, all.length)
  const chosen = Array.from(
    { length: count },
    (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, count - 1))]
  )
  return Promise.all(
    chosen.flatMap((grid) =>
      grid
        ? [
            inlined(join(run, 'grids', grid.name)).then((url) => ({
              url,
              step: grid.step,
              caption: `step ${grid.step}`
            }))
          ]
        : []
    )
  )
}

/** Plots that other commands left in a folder of the run, by name. */
export async function plotsIn(run: string, folder: string): Promise<ReportPicture[]> {
  const names = await readdir(join(run, folder)).catch(() => [])
  const plots = names.filter((name) => ['.png', '.svg'].includes(extname(name))).sort()
  return Promise.all(
    plots.map(async (name) => ({
      url: await inlined(join(run, folder, name)),
      caption: name.slice(0, -extname(name).length).replaceAll(/[-_]/g, ' ')
    }))
  )
}

/**
 * What masks of the run's largest ratio hide of its own pictures, and what the newest checkpoint makes of the whole ones. Null where
 * there is no checkpoint or the pictures are no longer there.
 */
export async function maskedPictures(
  run: string,
  record: AnyRunRecord,
  { data, device }: { data: string | undefined; device: string | undefined }
): Promise<ReportPicture | null> {
  if (record.kind !== 'tokenizer') return null
  const from = data ?? record.data.heldOutFrom ?? record.data.from
  if (data === undefined && !(await stat(from).catch(() => null))) return null
  const { masking, teacher: wanted } = record.settled
  const place = device === undefined ? {} : { device }
  using tokenizer = await Tokenizer.load(run, place)
  const { imageSize, patchSize } = tokenizer.config
  const found = masking.semantic > 0 && (await locateWeights(wanted.weights)) !== undefined
  using teacher = found ? await Teacher.load(wanted.weights, { ...place, grid: imageSize / patchSize }) : null
  const ratio = masking.target === 'image' ? masking.max : 0.7
  const folder = await mkdtemp(join(tmpdir(), 'mactok-report-'))
  try {
    const file = join(folder, 'masks.png')
    const { pictures, psnr, columns } = await reconstruct(tokenizer, imageSource(from), file, {
      teacher,
      count: 6,
      ratio
    })
    const hidden = `${Math.round(100 * ratio)} % of the patches hidden`
    const caption = `${pictures} pictures: ${columns.join(', ')} (${hidden}; ${psnr.toFixed(1)} dB from whole pictures)`
    return { url: await inlined(file), caption }
  } finally {
    await rm(folder, { recursive: true })
  }
}
