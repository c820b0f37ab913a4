import { positive } from '../checks.js'
import { outOfRange } from '../errors.js'
import { escapeXml } from '../escape.js'
import { writeAtomically, writeFully } from '../files/atomic.js'
import type { Image } from './decode.js'
import { loadSharp } from './sharp.js'

/** Writes uint8 [height, width, 3] as a PNG, complete or not at all. Creates missing folders. */
export async function writePng(path: string, image: Image): Promise<void> {
  const bytes = await encodePng(image)
  // Images can be made again: syncing each to disk would cost more than making it.
  await writeAtomically(path, (handle) => writeFully(handle, bytes), { durable: false })
}

/** Encodes uint8 [height, width, 3] as a PNG. */
export async function encodePng({ data, width, height }: Image): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

export interface GridOptions {
  /** Whole-number enlargement of each image, by repeating pixels. Default 1. */
  zoom?: number
  /** Pixels between images and around them. Default 2. */
  gap?: number
  /** Grey level of the gaps, 0 to 255. Default 255. */
  background?: number
  /** A line of text above each column. */
  captions?: readonly string[]
}

const captionHeight = 18

/** Arranges images of one size in a grid, row by row. */
export async function grid(images: readonly Image[], columns: number, options: GridOptions = {}): Promise<Image> {
  const { zoom = 1, gap = 2, background = 255, captions } = options
  const [first] = images
  if (!first || images.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw outOfRange(
      'images',
      'one or more images of one size',
      images.map(({ width, height }) => `${width}×${height}`)
    )
  }
  positive('columns', columns)
  positive('zoom', zoom)

  const [tileWidth, tileHeight] = [first.width * zoom, first.height * zoom]
  const top = captions ? captionHeight : 0
  const width = gap + columns * (tileWidth + gap)
  const height = top + gap + Math.ceil(images.length / columns) * (tileHeight + gap)
  const data = new Uint8Array(width * height * 3).fill(background)
  for (const [index, image] of images.entries()) {
    const left = gap + (index % columns) * (tileWidth + gap)
    const above = top + gap + Math.floor(index / columns) * (tileHeight + gap)
    paste(image, zoom, data, (above * width + left) * 3, width * 3)
  }
  const sheet = { data, width, height }
  return captions ? addCaptions(sheet, captions, gap, tileWidth) : sheet
}

function paste(image: Image, zoom: number, into: Uint8Array, start: number, stride: number): void {
  const row = new Uint8Array(image.width * zoom * 3)
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width * zoom; x++) {
      const from = (y * image.width + Math.floor(x / zoom)) * 3
      row.set(image.data.subarray(from, from + 3), x * 3)
    }
    for (let repeat = 0; repeat < zoom; repeat++) into.set(row, start + (y * zoom + repeat) * stride)
  }
}

async function addCaptions(sheet: Image, captions: readonly string[], gap: number, tileWidth: number): Promise<Image> {
  const sharp = await loadSharp()
  const size = Math.min(13, (tileWidth / Math.max(...captions.map(({ length }) => length))) * 1.7)
  const lines = captions.map((caption, column) => {
    const x = gap + column * (tileWidth + gap) + tileWidth / 2
    return `<text x="${x}" y="13" font-size="${size}" font-family="sans-serif" text-anchor="middle">${escapeXml(caption)}</text>`
  })
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${sheet.width}" height="${sheet.height}">${lines.join('')}</svg>`
  const { data } = await sharp(sheet.data, { raw: { width: sheet.width, height: sheet.height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { ...sheet, data }
}
