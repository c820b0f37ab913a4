/** Exports tokenizers and generators as ONNX graphs, directly from configuration and weights. */

import { stat } from 'node:fs/promises'
import path from 'node:path'
import { flag, oneOf, pathTo } from '../../checks.js'
import { checkOptions, parseConfig } from '../../config.js'
import { refuseExisting } from '../../files/overwrite.js'
import { generatorSchema } from '../../generator/schema.js'
import { findModel, modelKinds, retryIfDeleted } from '../../runs/model-folder.js'
import { tokenizerSchema } from '../../tokenizer/schema.js'
import { readSafetensors } from '../../weights/reader.js'
import { fileWeights } from '../../weights/tensors.js'
import { buildDenoiser } from './generator.js'
import { Graph } from './graph.js'
import { Layers, type OnnxPrecision } from './layers.js'
import { buildDecoder, buildEncoder } from './tokenizer.js'

export const onnxPrecisions = ['fp32', 'fp16'] as const

export interface OnnxOptions {
  /** The folder to write to. */
  out: string
  /** `fp16`: weights and products in float16, half the size; inputs and outputs stay float32. Default `fp32`. */
  precision?: OnnxPrecision
  /** Export a run's weights in training instead of their moving average. Default false. */
  raw?: boolean
  /** Overwrite graphs that are there. Default false. */
  force?: boolean
}

export interface ExportedOnnx {
  folder: string
  /** `encoder.onnx` and `decoder.onnx`, or `denoiser.onnx`; and `<name>.data` beside a graph of more than 2 GB. */
  files: { file: string; bytes: number }[]
}

/**
 * Writes a tokenizer as `encoder.onnx` (images -> mean, logvar) and `decoder.onnx` (latents -> images), a generator as
 * `denoiser.onnx` (latents, time, label -> what it predicts): opset 17, any batch size. Their metadata has the
 * configuration as JSON.
 * @throws {TypeError | RangeError} for wrong options
 * @throws {MactokError} `ERR_FORMAT` when the folder holds no model or a damaged one, for weights that are missing or not finite, and for
 *   graphs that exist, without `force`
 */
export async function exportOnnx(folder: string, options: OnnxOptions): Promise<ExportedOnnx> {
  pathTo('folder', folder)
  checkOptions(options ?? {}, { out: true, precision: true, raw: true, force: true })
  const { out, precision = 'fp32', raw = false, force = false } = options ?? {}
  pathTo('out', out)
  oneOf('precision', onnxPrecisions, precision)
  flag('raw', raw)
  flag('force', force)
  return retryIfDeleted(folder, async () => {
    const found = await findModel(folder, modelKinds, raw, { verify: true })
    await using opened = await readSafetensors(found.weights)
    const layers = () => new Layers(new Graph(), fileWeights(opened), found.weights, precision)
    const graphs = buildGraphs(found.config, layers)
    if (!force) await refuseExisting(graphs.map(([name]) => path.join(out, `${name}.onnx`)))
    const written: string[] = []
    for (const [name, graph] of graphs) {
      const file = path.join(out, `${name}.onnx`)
      written.push(...(await graph.write(file, name, { mactok: JSON.stringify(found.config), precision })))
    }
    const sizes = await Promise.all(written.map(async (file) => ({ file, bytes: (await stat(file)).size })))
    return { folder: out, files: sizes }
  })
}

function buildGraphs(config: Record<string, unknown>, layers: () => Layers): [name: string, graph: Graph][] {
  if (config.model === 'generator') {
    return [['denoiser', buildDenoiser(parseConfig(generatorSchema, config.generator, 'generator'), layers())]]
  }
  const tokenizer = parseConfig(tokenizerSchema, config.tokenizer, 'tokenizer')
  return [
    ['encoder', buildEncoder(tokenizer, layers())],
    ['decoder', buildDecoder(tokenizer, layers())]
  ]
}
