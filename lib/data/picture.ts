import { outOfRange } from '../errors.js'
import type { Picture } from './decode.js'
import { loadSharp } from './sharp.js'

/** Writes uint8 [height, width, 3] as a PNG. */
export async function writePng(path: string, { data, width, height }: Picture): Promise<void> {
  const sharp = await loadSharp()
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path)
}

/** The bytes of a PNG. */
export async function encodePng({ data, width, height }: Picture): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

export interface GridOptions {
  /** Whole-number enlargement of each picture, by repeating pixels. Default 1. */
  zoom?: number
  /** Pixels between pictures and around them. Default 2. */
  gap?: number
  /** Grey of the gaps, 0 to 255. Default 255. */
  background?: number
  /** One line above each column. */
  captions?: readonly string[]
}

const CAPTION_HEIGHT = 18

/** Pictures of one size, row by row, as one picture. */
export async function grid(pictures: readonly Picture[], columns: number, options: GridOptions = {}): Promise<Picture> {
  const { zoom = 1, gap = 2, background = 255, captions } = options
  const [first] = pictures
  if (!first || pictures.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw outOfRange(
      'pictures',
      'one or more pictures of one size',
      pictures.map(({ width, height }) => `${width}×${height}`)
    )
  }
  if (!Number.isInteger(columns) || columns < 1) throw outOfRange('columns', 'a positive integer', columns)
  if (!Number.isInteger(zoom) || zoom < 1) throw outOfRange('zoom', 'a positive integer', zoom)

  const [tileWidth, tileHeight] = [first.width * zoom, first.height * zoom]
  const top = captions ? CAPTION_HEIGHT : 0
  const width = gap + columns * (tileWidth + gap)
  const height = top + gap + Math.ceil(pictures.length / columns) * (tileHeight + gap)
  const data = new Uint8Array(width * height * 3).fill(background)
  for (const [index, picture] of pictures.entries()) {
    const left = gap + (index % columns) * (tileWidth + gap)
    const above = top + gap + Math.floor(index / columns) * (tileHeight + gap)
    paste(picture, zoom, data, (above * width + left) * 3, width * 3)
  }
  const sheet = { data, width, height }
  return captions ? withCaptions(sheet, captions, gap, tileWidth) : sheet
}

function paste(picture: Picture, zoom: number, into: Uint8Array, start: number, stride: number): void {
  const row = new Uint8Array(picture.width * zoom * 3)
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width * zoom; x++) {
      const from = (y * picture.width + Math.floor(x / zoom)) * 3
      row.set(picture.data.subarray(from, from + 3), x * 3)
    }
    for (let repeat = 0; repeat < zoom; repeat++) into.set(row, start + (y * zoom + repeat) * stride)
  }
}

async function withCaptions(
  sheet: Picture,
  captions: readonly string[],
  gap: number,
  tileWidth: number
): Promise<Picture> {
  const sharp = await loadSharp()
  const size = Math.min(13, (tileWidth / Math.max(...captions.map(({ length }) => length))) * 1.7)
  const lines = captions.map((caption, column) => {
    const x = gap + column * (tileWidth + gap) + tileWidth / 2
    return `<text x="${x}" y="13" font-size="${size}" font-family="sans-serif" text-anchor="middle">${escaped(caption)}</text>`
  })
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${sheet.width}" height="${sheet.height}">${lines.join('')}</svg>`
  const { data } = await sharp(sheet.data, { raw: { width: sheet.width, height: sheet.height, channels: 3 } })
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { ...sheet, data }
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
const escaped = (text: string) => text.replace(/[&<>]/g, (character) => ENTITIES[character] as string)
