/**
 * Bounds of networks' sizes. No published network of the kind comes near them; a size above is a damaged file or a typing error, and is
 * refused before memory is allocated for it.
 */

import { z } from 'zod'
import { positive } from '../config.js'

/** Side of an image, in pixels. */
export const imageSide = positive.max(4_096)
/** Side of a patch, in pixels or cells of a grid. */
export const mostPatchSide = 256
export const patchSide = positive.max(mostPatchSide)
/** Tokens of a sequence; the patches of a square grid are tokens, too. */
export const mostTokens = 65_536
export const mostGridSide = Math.sqrt(mostTokens)
export const tokenCount = positive.max(mostTokens)
export const channelCount = positive.max(65_536)
/** D; ViT-22B has 6,144. */
export const tokenWidth = positive.max(16_384)
/** Blocks; ViT-22B has 48. */
export const blockCount = positive.max(1_000)
export const headCount = positive.max(1_024)
export const mlpFactor = z.number().positive().max(64)

/** Images or latents in memory at once. */
export const batchCount = positive.max(65_536)
/** Images in a grid. */
export const gridCount = positive.max(10_000)

/** ViT-22B's number of parameters, 88 GB in float32. */
const MOST_PARAMETERS = 22e9

/** A part of a network whose sizes multiply. */
interface Blocks {
  width: number
  depth: number
  mlpRatio: number
}

/** A lower bound on a network's parameters: attention's matrices and half of the MLP's in each block, and vectors per token. */
export const leastParameters = (parts: readonly Blocks[], tokens: number): number =>
  parts.reduce((sum, { width, depth, mlpRatio }) => sum + depth * width ** 2 * (4 + mlpRatio) + tokens * width, 0)

/** A lower bound on the bytes that one sample takes while a network computes it: queries, keys and values, or the hidden layer. */
export const leastActivations = ({ width, mlpRatio }: Omit<Blocks, 'depth'>, tokens: number): number =>
  2 * tokens * width * Math.max(3, mlpRatio)

/** Checks, for a schema's `superRefine`, that a network can be held. */
export function checkParameters(least: number, issue: (path: string[], message: string) => void): void {
  if (least <= MOST_PARAMETERS) return
  issue([], `expected at most ${MOST_PARAMETERS} parameters but received sizes that make ${least} or more`)
}
