/** A generator's network as an ONNX graph (native/models/sit.cpp, lightning_dit.cpp). */

import type { GeneratorConfig } from '../../generator/schema.js'
import { generatorTokens } from '../shapes.js'
import type { Graph, Value } from './graph.js'
import type { Layers, Rotation } from './layers.js'

const ropeTheta = 10_000
const longestPeriod = 10_000
const frequencies = 128

/** LightningDiT's rotary positions: of tokens, or of rows and then columns of a grid, [1, T, d/2]. */
function rotaryPositions(config: GeneratorConfig, layers: Layers): Rotation {
  const { onGrid, side, tokens } = generatorTokens(config)
  const pairs = config.width / config.heads / 2
  const axis = onGrid ? pairs / 2 : pairs
  return layers.rotation('rotary', [1, tokens, pairs], async () =>
    Float32Array.from({ length: tokens * pairs }, (_, i) => {
      const [position, pair] = [Math.floor(i / pairs), i % pairs]
      const coordinate = onGrid ? (pair < axis ? Math.floor(position / side) : position % side) : position
      return coordinate * ropeTheta ** (-(pair % axis) / axis)
    })
  )
}

/** SiLU of what modulates the blocks, [B, D]: time and class. */
function buildCondition(layers: Layers, time: Value, label: Value): Value {
  const { graph } = layers
  const scales = graph.constant('t_embedder.frequencies', 'float32', [1, frequencies], async () =>
    Float32Array.from({ length: frequencies }, (_, i) => Math.exp((-Math.log(longestPeriod) * i) / frequencies))
  )
  const angles = layers.multiply(graph.reshape(time, [-1, 1]), scales)
  const waves = layers.concatenate([graph.apply('Cos', [angles]), graph.apply('Sin', [angles])])
  const first = layers.silu(layers.float32(layers.linear(waves, 't_embedder.mlp.0')))
  const embedded = layers.float32(layers.linear(first, 't_embedder.mlp.2'))
  const row = graph.apply('Gather', [layers.weight('y_embedder.embedding_table.weight'), label], { axis: 0 })
  return layers.silu(layers.add(embedded, row))
}

/**
 * latents [batch, …], normalised; time float32 [batch], 0 for noise and 1 for data; label int64 [batch], the number of
 * classes for none -> what the network predicts, named `velocity`, `noise` or `score`.
 */
export function buildDenoiser(config: GeneratorConfig, layers: Layers): Graph {
  const { graph } = layers
  const { width, depth, heads, latentShape, patchSize, flow, learnSigma, shift } = config
  const { onGrid, side, channels } = generatorTokens(config)
  const lightning = config.model === 'lightning-dit'
  const latents = graph.input('latents', 'float32', ['batch', ...latentShape])
  const time = graph.input('time', 'float32', ['batch'])
  const label = graph.input('label', 'int64', ['batch'])
  const reversed = flow.time === 'data_at_0'
  const own = reversed ? graph.apply('Sub', [layers.number(1, time), time]) : time
  const condition = buildCondition(layers, own, label)

  /** `count` vectors [B, 1, D] that modulate a layer. */
  const modulation = (name: string, count: number): Value[] => {
    const all = layers.float32(layers.linear(condition, `${name}.adaLN_modulation.1`))
    return graph.split('Split', count, [graph.reshape(all, [0, 1, count * width])], { axis: 2 })
  }
  const norm = (x: Value, name: string) => (lightning ? layers.rmsNorm(x, name) : layers.layerNorm(x, null, width))
  const modulate = (x: Value, scale: Value, by: Value | undefined) => {
    const scaled = layers.multiply(x, layers.add(scale, layers.number(1, scale)))
    return by ? layers.add(scaled, by) : scaled
  }
  const mlp = (x: Value, name: string): Value => {
    if (!lightning) return layers.linear(layers.geluTanh(layers.linear(x, `${name}.fc1`)), `${name}.fc2`)
    const [gate, value] = graph.split('Split', 2, [layers.float32(layers.linear(x, `${name}.w12`))], { axis: -1 }) as [
      Value,
      Value
    ]
    return layers.linear(layers.multiply(layers.silu(gate), value), `${name}.w3`)
  }

  const rotation = lightning ? rotaryPositions(config, layers) : null
  const embedded = onGrid
    ? layers.patchEmbed(latents, 'x_embedder')
    : layers.float32(layers.linear(latents, 'x_embedder'))
  let x = layers.add(embedded, layers.weight('pos_embed'))
  for (let i = 0; i < depth; i++) {
    const name = `blocks.${i}`
    const vectors = modulation(name, shift ? 6 : 4)
    const [shift1, shift2] = shift ? [vectors[0], vectors[3]] : []
    const [scale1, gate1, scale2, gate2] = (shift ? [1, 2, 4, 5] : [0, 1, 2, 3]).map((at) => vectors[at]) as [
      Value,
      Value,
      Value,
      Value
    ]
    const attended = layers.attention(
      modulate(norm(x, `${name}.norm1`), scale1, shift1),
      `${name}.attn`,
      heads,
      rotation
    )
    x = layers.add(x, layers.multiply(gate1, layers.float32(attended)))
    const mixed = mlp(modulate(norm(x, `${name}.norm2`), scale2, shift2), `${name}.mlp`)
    x = layers.add(x, layers.multiply(gate2, layers.float32(mixed)))
  }
  const [lastShift, lastScale] = modulation('final_layer', 2) as [Value, Value]
  const last = modulate(norm(x, 'final_layer.norm_final'), lastScale, lastShift)
  const tokens = layers.float32(layers.linear(last, 'final_layer.linear'))
  const all = onGrid ? layers.unpatchify(tokens, side, patchSize, channels * (learnSigma ? 2 : 1)) : tokens
  const predicted = learnSigma ? (graph.split('Split', 2, [all], { axis: onGrid ? 1 : -1 })[0] as Value) : all
  const turned = reversed && flow.prediction === 'velocity' ? graph.apply('Neg', [predicted]) : predicted
  graph.output(flow.prediction, turned, ['batch', ...latentShape])
  return graph
}
