import type { GeneratorConfig } from '../../generator/schema.js'
import { generatorShapes, generatorTokens, parameterCount } from '../../interchange/shapes.js'
import { type AttentionKind, type Cost, elementBytes, type Precision, transformerCost } from '../work/transformer.js'
import { backwardPasses, trafficOf, type Work } from '../work/work.js'
import type { GeneratorTrainingConfig } from './schema.js'

export interface FlowOptions {
  precision: Precision
  attention: AttentionKind
  /** [L, Z], or [C, H, W] on a grid */
  latentShape: number[]
  classes: number
}

/** Counted for SiT. */
const launchesPerBlock = 135

/** One network pass of one latent, forward, without what depends on times and classes alone. */
function networkCost(config: GeneratorConfig, precision: Precision, attention: AttentionKind): Cost {
  const { tokens } = generatorTokens(config)
  const blocks = transformerCost({ ...config, swiglu: config.model === 'lightning-dit' }, tokens, precision, attention)
  if (config.model !== 'lightning-dit') return blocks
  // RMS norms and modulations are separate operations there, and rotations of queries and keys.
  const { width, depth } = config
  const extra = depth * tokens * width
  return {
    forward: blocks.forward,
    saved: blocks.saved + (2 * 4 + 4 * elementBytes(precision)) * extra,
    elements: blocks.elements + 12 * extra
  }
}

/** What a step of a generator's training costs per latent. */
export function generatorWork(
  config: GeneratorTrainingConfig,
  { precision, attention, latentShape, classes }: FlowOptions
): Work {
  const network: GeneratorConfig = { ...config.generator, latentShape, classes, flow: config.flow }
  const { tokens, channels, outputs } = generatorTokens(network)
  const { width, depth, shift } = network
  const blocks = networkCost(network, precision, attention)
  // Modulations of each block and the time's embedding, once per latent; and the ends.
  const conditions = 2 * width ** 2 * (depth * (shift ? 6 : 4) + 2 + 1) + 2 * 256 * width
  const ends = 2 * tokens * width * (channels * network.patchSize ** 2 + outputs)
  const again = config.checkpointing ? 1 : 0
  const flops = (1 + backwardPasses + again) * (blocks.forward + conditions) + 3 * ends
  const activations = config.checkpointing ? 4 * tokens * width * depth + blocks.saved / depth : blocks.saved
  const parameters = parameterCount(generatorShapes(network))
  return {
    trained: parameters,
    averaged: parameters,
    frozen: 0,
    flops,
    traffic: trafficOf(blocks, elementBytes(precision), config.checkpointing ? 7 : 5),
    activations: activations + 4 * 8 * depth * width + 10 * 4 * tokens * channels,
    launches: launchesPerBlock * depth
  }
}
