/** Predicts the memory of a training from its work. */

import type { Precision } from './transformer.js'
import type { Work } from './work.js'

/** What is assumed beyond the tensors. */
export const memoryAssumptions = {
  /** Bytes that CUDA, its libraries and NCCL take of each GPU's memory. */
  context: 1.5e9,
  /** Bytes that a process on the CPU takes. */
  process: 0.35e9,
  /** Of a caching allocator whose blocks do not fit exactly, as a share of the tensors. */
  fragmentation: 0.08
} as const

/** How the work is divided and computed. */
export interface MemoryInput {
  /** Samples of all ranks in a forward and backward pass. */
  microBatch: number
  precision: Precision
  ranks: number
  /** Optimiser state and average are divided among ranks. */
  sharded: boolean
  /** Bytes besides tensors. */
  context: number
}

/** Bytes on each device. */
export interface MemoryEstimate {
  weights: number
  gradients: number
  optimizer: number
  average: number
  frozen: number
  activations: number
  overhead: number
  total: number
}

export function estimateMemory(
  { trained, averaged, frozen, activations }: Work,
  { microBatch, precision, ranks, sharded, context }: MemoryInput
): MemoryEstimate {
  const share = sharded ? ranks : 1
  // Autocast keeps a copy of each weight in its own type.
  const cast = precision === 'bf16' ? 2 : 0
  const tensors = {
    weights: (4 + cast) * trained,
    gradients: 4 * trained,
    optimizer: (8 * trained) / share,
    average: (4 * averaged) / share,
    frozen: (4 + cast) * frozen,
    activations: (microBatch / ranks) * activations
  }
  const sum = Object.values(tensors).reduce((a, b) => a + b, 0)
  const overhead = context + memoryAssumptions.fragmentation * sum
  return { ...tensors, overhead, total: sum + overhead }
}
