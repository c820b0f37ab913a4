/** FLOPs, memory and memory traffic of transformers. A multiplication and an addition are two FLOPs. */

export type Precision = 'fp32' | 'tf32' | 'bf16'

/** Bytes of an element that products take. */
export const elementBytes = (precision: Precision): number => (precision === 'bf16' ? 2 : 4)

/** What one sample costs in one network. */
export interface Cost {
  /** FLOPs of a forward pass. */
  forward: number
  /** Bytes that a forward pass keeps for the backward pass. */
  saved: number
  /** Elements that pass through operations between products, in a forward pass. */
  elements: number
}

export const noCost: Cost = { forward: 0, saved: 0, elements: 0 }

export const addCosts = (...costs: readonly Cost[]): Cost =>
  costs.reduce(
    (sum, { forward, saved, elements }) => ({
      forward: sum.forward + forward,
      saved: sum.saved + saved,
      elements: sum.elements + elements
    }),
    noCost
  )

export interface Shape {
  width: number
  depth: number
  heads: number
  /** Hidden width of the MLP as a multiple of the width. */
  mlpRatio: number
  /** A gated MLP has two products into its hidden layer, two thirds as wide. */
  swiglu?: boolean
}

/** How attention is computed: fused kernels keep no weights, batched products keep all, [heads, T, T]. */
export type AttentionKind = 'fused' | 'products'

/**
 * A stack of blocks.
 * @param tokens - T
 * @param kept - tokens for which the last block computes queries and MLP
 */
export function transformerCost(
  { width, depth, heads, mlpRatio, swiglu = false }: Shape,
  tokens: number,
  precision: Precision,
  attention: AttentionKind,
  kept = tokens
): Cost {
  const size = elementBytes(precision)
  const hidden = mlpRatio * width
  // Keys and values of all tokens; queries, projection and MLP of those computed.
  const forward = (queries: number) =>
    2 *
    (2 * tokens * width ** 2 + 2 * queries * width ** 2 + 2 * queries * width * hidden + 2 * queries * tokens * width)
  // The residual stream stays in float32: before and after attention. In the products' type: two norms, q, k, v, attention, projection
  // and the MLP's output, and its hidden layer before and after the activation.
  const saved = (queries: number) => {
    const gated = swiglu ? (2 / 3) * hidden * 4 : 2 * hidden
    const own = queries * (2 * 4 * width + size * (5 * width + gated)) + 3 * size * tokens * width
    return own + (attention === 'products' ? heads * queries * tokens * size : 0)
  }
  // Norms, splitting and joining of heads, activation, residuals; and the softmax where it is an operation of its own.
  const elements = (queries: number) =>
    queries * (10 * width + 2 * hidden) +
    6 * tokens * width +
    (attention === 'products' ? 2 * heads * queries * tokens : 0)
  const sum = (of: (queries: number) => number) => (depth - 1) * of(tokens) + of(kept)
  return { forward: sum(forward), saved: sum(saved), elements: sum(elements) }
}
