/** Images of a report, all embedded as data URLs. */

import { extname, join } from 'node:path'
import { decode, type Image } from '../data/decode.js'
import { loadSharp } from '../data/sharp.js'
import { readBytes } from '../files/read.js'
import { listFiles, listGrids } from './run-folder.js'

export interface ReportImage {
  /** A data URL. */
  url: string
  caption: string
  step?: number
}

const dataUrl = (type: string, bytes: Buffer) => `data:${type};base64,${bytes.toString('base64')}`

/** Encodes an image as WebP, a tenth of a PNG's size for photographs. */
export async function encodePixels({ data, width, height }: Image): Promise<string> {
  const image = (await loadSharp())(data, { raw: { width, height, channels: 3 } })
  return dataUrl('image/webp', await image.webp({ quality: 88 }).toBuffer())
}

async function readAsDataUrl(path: string): Promise<string> {
  if (extname(path) === '.svg') return dataUrl('image/svg+xml', await readBytes(path))
  return encodePixels(await decode(await readBytes(path)))
}

/** Reads up to `most` grids, oldest first: the first, the newest, and others spread between. */
export async function readGrids(run: string, most: number): Promise<ReportImage[]> {
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
            readAsDataUrl(join(run, 'grids', grid.name)).then((url) => ({
              url,
              step: grid.step,
              caption: `step ${grid.step}`
            }))
          ]
        : []
    )
  )
}

/** Reads the plots that other commands wrote to a folder of the run, by name. */
export async function readPlots(run: string, folder: string): Promise<ReportImage[]> {
  const plots = (await listFiles(join(run, folder))).filter((name) => ['.png', '.svg'].includes(extname(name))).sort()
  return Promise.all(
    plots.map(async (name) => ({
      url: await readAsDataUrl(join(run, folder, name)),
      caption: name.slice(0, -extname(name).length).replaceAll(/[-_]/g, ' ')
    }))
  )
}
