/** Predicts memory, time and traffic of a training step, and so of a run, from the work of a sample and a machine's rates. */

import { estimateMemory, type MemoryEstimate, memoryAssumptions } from '../training/work/memory.js'
import type { Precision } from '../training/work/transformer.js'
import type { Work } from '../training/work/work.js'
import type { Hardware } from './hardware.js'

/** What is assumed beyond a machine's published rates. */
export const assumptions = {
  /** Share of the published FLOP/s that products reach. */
  products: 0.55,
  /** Share of the published memory bandwidth that other operations reach. */
  bandwidth: 0.75,
  /** Share of a link's rate that an all-reduce reaches. */
  link: 0.7,
  /** Share of the all-reduce that the backward pass hides. */
  overlap: 0.5,
  /** Seconds of the host per launched operation, where CUDA graphs do not replay them. */
  launch: 5e-6,
  /** JPEGs of ImageNet that a CPU core decodes and crops in a second, and their bytes. */
  decoded: 150,
  imageBytes: 112e3,
  /** Bytes that the optimiser and the average move per parameter: gradient norm, AdamW, average. */
  optimizerBytes: 44
} as const

export interface EstimateInput {
  /** From the discriminator's start on, or of the whole run where there is none. */
  work: Work
  /** Before that. */
  early?: Work | undefined
  /** Steps before it starts. */
  earlySteps?: number | undefined
  steps: number
  /** Samples in one optimiser step, over all GPUs. */
  batch: number
  /** Samples of all GPUs in a forward and backward pass. */
  microBatch: number
  precision: Precision
  hardware: Hardware
  gpus: number
  nodes: number
  /** Bytes per second that a GPU sends to other machines. */
  network: number
  /** Optimiser state and average are divided among ranks. */
  sharded: boolean
  /** Whether CUDA graphs replay the step. */
  graphs: boolean
  /** Rates as measured, instead of a share of the published ones. */
  measured?: { flops?: number | undefined; bandwidth?: number | undefined } | undefined
}

/** Seconds of a step. */
export interface StepTime {
  products: number
  others: number
  optimizer: number
  /** All-reduce that the backward pass does not hide. */
  exchange: number
  /** What the host needs to launch the operations; the GPU waits for it where it is more than the others together. */
  launches: number
  total: number
}

export interface Estimate {
  memory: MemoryEstimate
  fits: boolean
  /** The largest micro-batch that fits; 0 for none. */
  largestMicroBatch: number
  step: StepTime
  /** The same before the discriminator starts. */
  earlyStep: StepTime | null
  samplesPerSecond: number
  /** Seconds of the whole run. */
  run: number
  /** Bytes that each GPU sends in a step. */
  exchanged: number
  flopsPerStep: number
}

const sum = (parts: Readonly<Record<string, number>>): number => Object.values(parts).reduce((a, b) => a + b, 0)

function estimateStep(work: Work, input: EstimateInput): StepTime {
  const { batch, microBatch, precision, hardware, gpus, nodes, network, sharded, graphs, measured } = input
  const ranks = gpus * nodes
  const samples = batch / ranks
  const flops = measured?.flops ?? assumptions.products * hardware.flops[precision]
  const bandwidth = measured?.bandwidth ?? assumptions.bandwidth * hardware.bandwidth
  const slowest = nodes > 1 ? Math.min(network, hardware.link) : hardware.link
  const exchanged = exchangedBytes(work, ranks) / (assumptions.link * slowest)
  const parts = {
    products: (samples * work.flops) / flops,
    others: (samples * work.traffic) / bandwidth,
    optimizer: (assumptions.optimizerBytes * work.trained) / (sharded ? ranks : 1) / bandwidth,
    exchange: (1 - assumptions.overlap) * exchanged
  }
  const launches = graphs ? 0 : (assumptions.launch * work.launches * batch) / microBatch
  return { ...parts, launches, total: Math.max(sum(parts), launches) }
}

/** A ring all-reduce of all gradients in float32: every rank sends twice its share to each other one. */
const exchangedBytes = ({ trained }: Work, ranks: number): number => (2 * (ranks - 1) * 4 * trained) / ranks

export function estimate(input: EstimateInput): Estimate {
  const { work, early, steps, batch, hardware, gpus, nodes } = input
  const memory = memoryFor(input, input.microBatch)
  const step = estimateStep(work, input)
  const earlyStep = early ? estimateStep(early, input) : null
  const earlySteps = earlyStep ? Math.min(steps, input.earlySteps ?? 0) : 0
  const run = earlySteps * (earlyStep?.total ?? 0) + (steps - earlySteps) * step.total
  return {
    memory,
    fits: memory.total <= hardware.memory,
    largestMicroBatch: largestFitting(input),
    step,
    earlyStep,
    samplesPerSecond: batch / step.total,
    run,
    exchanged: exchangedBytes(work, gpus * nodes),
    flopsPerStep: batch * work.flops
  }
}

const memoryFor = ({ work, precision, gpus, nodes, sharded }: EstimateInput, microBatch: number): MemoryEstimate =>
  estimateMemory(work, {
    microBatch,
    precision,
    ranks: gpus * nodes,
    sharded,
    context: memoryAssumptions.context
  })

/** The largest divisor of the batch that the GPUs share evenly and whose part fits into each one's memory. */
function largestFitting(input: EstimateInput): number {
  const ranks = input.gpus * input.nodes
  for (let size = input.batch; size >= ranks; size -= ranks) {
    if (input.batch % size !== 0) continue
    if (memoryFor(input, size).total <= input.hardware.memory) return size
  }
  return 0
}
