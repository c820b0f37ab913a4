import { outOfRange } from '../errors.js'
import { type ImageSet, subset } from './image-set.js'
import { permutation, type Uniform } from './shuffle.js'

export interface Split {
  train: ImageSet
  heldOut: ImageSet
}

/**
 * Splits a set into two disjoint subsets in listing order: `heldOut` has `count` random images, or that fraction of
 * them if `count` is below 1. The same seed holds out the same images. Closing the subsets does not close the set.
 */
export function split(set: ImageSet, count: number, seed: number, uniform: Uniform): Split {
  const held = count < 1 ? Math.round(count * set.size) : count
  if (!Number.isInteger(held) || held < 1 || held >= set.size) {
    throw outOfRange(
      'count',
      `a fraction or a number of images that leaves some of the ${set.size} on either side`,
      count
    )
  }
  const order = permutation(uniform, seed, 'split', 0, set.size)
  return {
    train: subset(set, order.slice(held).sort(), `${set.name} (without ${held} held out)`),
    heldOut: subset(set, order.slice(0, held).sort(), `${set.name} (${held} held out)`)
  }
}
