import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import type { Image } from './decode.js'

interface Size {
  width: number
  height: number
}

/**
 * ADM's `center_crop_arr`: halves the image with a box filter while its short side is at least twice `size`, scales the
 * short side to `size` by antialiased bicubic, and takes the centre. Matches Pillow bit for bit on the same decoded
 * pixels. Writes uint8 [size, size, 3] to `into`.
 */
export async function centreCrop(image: Image, size: number, into: Uint8Array): Promise<void> {
  const halved = await halve(image, size)
  const scaled = scaledSize(halved, size)
  const left = Math.floor((scaled.width - size) / 2)
  const top = Math.floor((scaled.height - size) / 2)
  const part = { left, top, width: size, height: size }
  // Resampling to the same size changes nothing, but takes a small image longer than everything else here.
  if (scaled.width === halved.width && scaled.height === halved.height) copyWindow(halved, part, into)
  else await resampleWindow(halved, 'bicubic', scaled, part, false, into)
}

/** What decides a training crop; the numbers are in [0, 1). */
export interface CropDraws {
  scale: number
  x: number
  y: number
  flip: boolean
}

/**
 * ADM's `random_crop_arr` with given draws: scales the short side to a whole number in [size, size / minScale] by
 * halving and antialiased bicubic, takes a window of `size` anywhere, and mirrors it if `flip` says so.
 * Writes uint8 [size, size, 3] to `into`.
 */
export async function randomCrop(
  image: Image,
  size: number,
  minScale: number,
  draws: CropDraws,
  into: Uint8Array
): Promise<void> {
  const shortSide = size + Math.floor(draws.scale * (longestShortSide(size, minScale) - size + 1))
  const halved = await halve(image, shortSide)
  const scaled = scaledSize(halved, shortSide)
  const left = Math.floor(draws.x * (scaled.width - size + 1))
  const top = Math.floor(draws.y * (scaled.height - size + 1))
  await resampleWindow(halved, 'bicubic', scaled, { left, top, width: size, height: size }, draws.flip, into)
}

/** size / minScale in whole pixels; the small term makes up for minScale's rounding, of 0.8 for example. */
export const longestShortSide = (size: number, minScale: number): number => Math.floor(size / minScale + 1e-6)

/**
 * Halves an image with a box filter while its short side is at least twice `shortSide`. Every crop starts with this.
 */
export async function halve(image: Image, shortSide: number): Promise<Image> {
  let current = image
  while (Math.min(current.width, current.height) >= 2 * shortSide) {
    const half = { width: current.width >> 1, height: current.height >> 1 }
    const data = new Uint8Array(half.width * half.height * 3)
    await resampleWindow(current, 'box', half, { left: 0, top: 0, ...half }, false, data)
    current = { data, ...half }
  }
  return current
}

function scaledSize({ width, height }: Size, shortSide: number): Size {
  const scale = shortSide / Math.min(width, height)
  return { width: roundHalfToEven(width * scale), height: roundHalfToEven(height * scale) }
}

/** As Python's `round`. */
function roundHalfToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0)
}

type Window = Size & { left: number; top: number }

function copyWindow({ data, width }: Image, part: Window, into: Uint8Array): void {
  for (let row = 0; row < part.height; row++) {
    const from = ((part.top + row) * width + part.left) * 3
    into.set(data.subarray(from, from + part.width * 3), row * part.width * 3)
  }
}

/** Scales an image and computes only a part of the result. */
function resampleWindow(
  source: Image,
  filter: 'box' | 'bicubic',
  scaled: Size,
  part: Window,
  mirror: boolean,
  into: Uint8Array
) {
  const target = {
    filter,
    ...scaled,
    left: part.left,
    top: part.top,
    windowWidth: part.width,
    windowHeight: part.height,
    mirror
  }
  return native(addon().resample(source.data, source.width, source.height, target, into))
}

/** Mirrors uint8 [rows, size, 3] left to right: one image, or several stacked. */
export function mirrorPixels(pixels: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(pixels.length)
  const stride = size * 3
  for (let row = 0; row < pixels.length; row += stride) {
    for (let from = row, to = row + stride - 3; from < row + stride; from += 3, to -= 3) {
      result[to] = pixels[from] as number
      result[to + 1] = pixels[from + 1] as number
      result[to + 2] = pixels[from + 2] as number
    }
  }
  return result
}
