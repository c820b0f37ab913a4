import { parameterCount, tokenizerShapes } from '../../interchange/shapes.js'
import {
  type AttentionKind,
  addCosts,
  type Cost,
  elementBytes,
  noCost,
  type Precision,
  transformerCost
} from '../work/transformer.js'
import { backwardPasses, trafficOf, type Work } from '../work/work.js'
import { needsTeacher, type TrainingConfig } from './schema.js'

/** DINOv2's and DINO's networks. */
const backbones = {
  small: { width: 384, depth: 12, heads: 6, mlpRatio: 4, parameters: 22.1e6 },
  base: { width: 768, depth: 12, heads: 12, mlpRatio: 4, parameters: 86.6e6 },
  large: { width: 1024, depth: 24, heads: 16, mlpRatio: 4, parameters: 304.4e6 },
  giant: { width: 1536, depth: 40, heads: 24, mlpRatio: 8 / 3, parameters: 1136e6 }
} as const

/** The network that a name such as `dinov2-base` means; base for those of unknown folders. */
function backboneOf(name: string) {
  const size = (Object.keys(backbones) as (keyof typeof backbones)[]).find((each) => name.includes(each))
  return backbones[size ?? 'base']
}

/** LPIPS' networks per pixel of the image: FLOPs, and elements after each convolution. */
const perceptual = {
  vgg: { flops: 611_712, elements: 270, parameters: 14.7e6 },
  alex: { flops: 26_200, elements: 12, parameters: 2.5e6 }
} as const

/** The discriminator's heads on each of five levels: a 1 × 1 convolution, one of nine tokens, and one to a logit. */
const headsOf = (width: number) => ({ count: 5, parameters: 10 * width ** 2 + 5 * width })

/** Views of a batch that the discriminator's step takes with consistency, and without. */
const views = { consistent: 4, plain: 2 }

/** Launches of a block that trains, a block of the teacher, LPIPS, and the discriminator in both of its roles. */
const launches = { block: 100, teacherBlock: 30, perceptual: 200, discriminator: 4900 }

/** The frozen part of the discriminator and its heads, for one image. */
function discriminatorCost(config: TrainingConfig, precision: Precision, attention: AttentionKind) {
  const { weights, inputSize } = config.discriminator
  // `auto` and v1 have patches of 16.
  const isV2 = weights?.includes('dinov2') ?? false
  const shape = isV2 ? backboneOf(weights as string) : backbones.small
  const tokens = (inputSize / (isV2 ? 14 : 16)) ** 2
  const backbone = transformerCost(shape, tokens + 1, precision, attention)
  const heads = headsOf(shape.width)
  const elements = heads.count * 8 * shape.width * tokens
  const head: Cost = {
    forward: 2 * heads.count * heads.parameters * tokens,
    saved: elementBytes('fp32') * elements,
    elements
  }
  return { backbone, head, parameters: shape.parameters, trained: heads.count * heads.parameters }
}

/** Encoder and decoder for one image, forward. */
function networkCosts({ tokenizer }: TrainingConfig, precision: Precision, attention: AttentionKind) {
  const { imageSize, patchSize, latentTokens, latentChannels, encoder, decoder } = tokenizer
  const patches = (imageSize / patchSize) ** 2
  const pixels = 3 * patchSize ** 2
  const cls = (vit: { cls: boolean }) => (vit.cls ? 1 : 0)
  const encoded = transformerCost(encoder, patches + latentTokens + cls(encoder), precision, attention, latentTokens)
  const decoded = transformerCost(decoder, patches + latentTokens + cls(decoder), precision, attention, patches)
  const ends =
    2 * latentTokens * latentChannels * (2 * encoder.width + decoder.width) + 2 * patches * pixels * decoder.width
  const embedding = 2 * patches * pixels * encoder.width
  return { encoded, decoded, ends, embedding, patches }
}

/** What alignment's heads add: parameters, and FLOPs of a forward pass. */
function alignment({ tokenizer, align, teacher }: TrainingConfig) {
  const { hidden, shared, local, global } = align
  const size = tokenizer.latentChannels * hidden + hidden ** 2 + hidden * backboneOf(teacher.weights ?? '').width
  const rows = (local ? tokenizer.latentTokens : 0) + (global ? 1 : 0)
  return { parameters: size * (shared || !(local && global) ? 1 : 2), forward: 2 * rows * size }
}

export interface WorkOptions {
  precision: Precision
  attention: AttentionKind
  /** Whether the discriminator takes part, as it does from its `start` on. */
  adversarial: boolean
}

/** What a step of a tokenizer's training costs per image. */
export function tokenizerWork(config: TrainingConfig, { precision, attention, adversarial }: WorkOptions): Work {
  const bytes = elementBytes(precision)
  const { encoded, decoded, ends, embedding, patches } = networkCosts(config, precision, attention)
  const trainsEncoder = config.part === 'all'
  const own = addCosts(trainsEncoder ? encoded : noCost, decoded)
  const again = config.checkpointing ? 1 : 0
  let flops = (1 + backwardPasses + again) * own.forward + 3 * ends + 2 * embedding
  let traffic = trafficOf(own, bytes, config.checkpointing ? 7 : 5)
  if (!trainsEncoder) flops += encoded.forward
  let activations = config.checkpointing ? checkpointed(config, own) : own.saved
  // Images, reconstruction, its gradient and what losses keep of them, in float32.
  activations += 10 * 4 * 3 * config.tokenizer.imageSize ** 2

  const parameters = parameterCount(tokenizerShapes(config.tokenizer))
  let trained = parameters
  let frozen = 0
  let passing = 0
  let launched = launches.block * (config.tokenizer.encoder.depth + config.tokenizer.decoder.depth)
  if (trainsEncoder && needsTeacher(config) && config.teacher.weights !== null) {
    const shape = backboneOf(config.teacher.weights)
    const teacher = transformerCost(shape, patches + 1, precision, attention)
    flops += teacher.forward
    traffic += trafficOf(teacher, bytes, 2)
    frozen += shape.parameters
    launched += launches.teacherBlock * shape.depth
    const heads = alignment(config)
    if (config.align.local || config.align.global) {
      trained += heads.parameters
      flops += 3 * heads.forward
    }
  }
  const { weights } = config.loss.perceptual
  if (weights !== null) {
    const network = perceptual[weights.includes('alex') ? 'alex' : 'vgg']
    const pixels = config.tokenizer.imageSize ** 2
    // Both images forward, and back to the reconstruction alone.
    flops += 3 * network.flops * pixels
    traffic += 7 * bytes * network.elements * pixels
    frozen += network.parameters
    launched += launches.perceptual
    // The reconstruction's maps are kept; those of both images are compared at five levels.
    passing = Math.max(passing, 2 * bytes * network.elements * pixels)
  }
  if (config.discriminator.weights !== null) {
    const { backbone, head, ...sizes } = discriminatorCost(config, precision, attention)
    frozen += sizes.parameters
    trained += sizes.trained
    if (adversarial) {
      const count = config.discriminator.consistency > 0 ? views.consistent : views.plain
      // The generator's term: forward, and back to the image. Its own step: frozen features of all views, trained heads.
      flops += 2 * (backbone.forward + head.forward) + count * (backbone.forward + 3 * head.forward)
      traffic += trafficOf(backbone, bytes, 5 + 2 * count) + trafficOf(head, 4, 5 * (1 + count))
      launched += launches.discriminator
      passing = Math.max(passing, backbone.saved + head.saved)
      activations = Math.max(activations, count * head.saved - passing)
    }
  }
  return {
    trained,
    averaged: parameters,
    frozen,
    flops,
    traffic,
    activations: activations + passing,
    launches: launched
  }
}

/** Each block keeps its input, and the one that is computed again keeps everything. */
function checkpointed({ tokenizer }: TrainingConfig, { saved }: Cost): number {
  const { imageSize, patchSize, latentTokens, encoder, decoder } = tokenizer
  const tokens = (imageSize / patchSize) ** 2 + latentTokens
  const inputs = 4 * tokens * (encoder.width * encoder.depth + decoder.width * decoder.depth)
  return inputs + saved / (encoder.depth + decoder.depth)
}

/** FLOPs of encoding an image to latents. */
export function encodingFlops(config: TrainingConfig): number {
  const { encoded, embedding } = networkCosts(config, 'bf16', 'fused')
  return encoded.forward + embedding
}
