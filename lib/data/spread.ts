import { type ImageSet, subset } from './image-set.js'

/** `count` positions (at most all) evenly spread over `size`, ascending. */
export function spreadIndices(size: number, count: number): number[] {
  const chosen = Math.min(count, size)
  return Array.from({ length: chosen }, (_, i) => Math.floor((i * size) / chosen))
}

/** `count` images (at most all) evenly spread over a set, so that a few of a sorted folder are not all of one class. */
export const spread = (set: ImageSet, count: number): ImageSet => subset(set, spreadIndices(set.size, count))
