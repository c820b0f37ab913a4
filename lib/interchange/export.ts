/** Exports MacTok's models in the layouts of other projects, as safetensors that load there with strict keys. */

import path from 'node:path'
import { oneOf, pathTo, text } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { fileSize } from '../files/stat.js'
import { type GeneratorConfig, generatorSchema, leastGeneratorParameters } from '../generator/schema.js'
import { findModel, retryIfDeleted } from '../runs/model-folder.js'
import { leastTokenizerParameters, type TokenizerConfig, tokenizerSchema } from '../tokenizer/schema.js'
import { readNetworkConfig } from '../weights/network-config.js'
import { readSafetensors, type SafetensorsFile } from '../weights/reader.js'
import { fileWeights, float32, readFinite, type Weights, type WeightTensor } from '../weights/tensors.js'
import { writeSafetensors } from '../weights/writer.js'
import { continuousTokenizerFillers, continuousTokenizerOriginal } from './continuous-tokenizer.js'
import { leftOverFile } from './import.js'
import { generatorTokens } from './shapes.js'

export const exportLayouts = ['sit', 'repa', 'lightningdit', 'continuous-tokenizer'] as const
export type ExportLayout = (typeof exportLayouts)[number]

export interface ExportOptions {
  layout: ExportLayout
  /** The `.safetensors` file to write. */
  out: string
  /** Export a run's weights in training instead of their moving average. Default false. */
  raw?: boolean
}

export interface ExportedWeights {
  file: string
  tensors: number
  /** Tensors added for strict loading: unused ones as zeros, and tables that follow from the configuration. */
  filled: string[]
  notes: string[]
}

/**
 * Writes a model's weights under another project's names, with its configuration as metadata. Tensors that an import
 * kept beside the model are written as well.
 * @throws {TypeError | RangeError} for wrong options, or a layout for another kind of model
 * @throws {MactokError} `ERR_FORMAT` when the folder holds no model, and for weights that are not finite
 */
export async function exportWeights(folder: string, options: ExportOptions): Promise<ExportedWeights> {
  pathTo('folder', folder)
  checkOptions(options ?? {}, { layout: true, out: true, raw: true })
  const { layout, out, raw = false } = options ?? {}
  oneOf('layout', exportLayouts, layout)
  text('out', 'a .safetensors file', out)
  if (!out.endsWith('.safetensors')) throw invalidParameter('out', 'a .safetensors file', out)
  return retryIfDeleted(folder, () => exportFound(folder, layout, out, raw))
}

async function exportFound(folder: string, layout: ExportLayout, out: string, raw: boolean): Promise<ExportedWeights> {
  const kind = layout === 'continuous-tokenizer' ? 'tokenizer' : 'generator'
  const found = await findModel(folder, kind, raw, { verify: true })
  const { config, weights: file } = found
  const origin = (config.origin ?? {}) as Origin
  await using opened = await readSafetensors(file)
  await using kept = origin.layout === layout ? await openKept(path.dirname(file)) : null
  const model = { own: fileWeights(opened), kept: kept ? fileWeights(kept) : new Map<string, WeightTensor>(), origin }
  const exported =
    kind === 'tokenizer'
      ? exportTokenizer(model, await readNetworkConfig(found, kind, tokenizerSchema, leastTokenizerParameters))
      : exportGenerator(model, layout, await readNetworkConfig(found, kind, generatorSchema, leastGeneratorParameters))
  const { weights, metadata, filled, notes } = exported
  // What an import kept beside the model is written as it came.
  const read = (name: string, tensor: WeightTensor) =>
    model.kept.get(name) === tensor ? tensor.bytes() : readFinite(name, tensor, file)
  const tensors = [...weights].map(([name, tensor]) => {
    return { name, dtype: tensor.dtype, shape: tensor.shape, data: () => read(name, tensor) }
  })
  await writeSafetensors(out, tensors, { format: 'pt', layout, ...metadata })
  return { file: out, tensors: tensors.length, filled, notes }
}

interface Origin {
  layout?: string
  /** Parameters that the import filled with zeros; the export drops them again. */
  filled?: string[]
}

interface Model {
  own: Weights
  kept: Weights
  origin: Origin
}

interface Exported {
  weights: Weights
  metadata: Record<string, string>
  filled: string[]
  notes: string[]
}

async function openKept(folder: string): Promise<SafetensorsFile | null> {
  const file = path.join(folder, leftOverFile)
  return (await fileSize(file)) === undefined ? null : readSafetensors(file)
}

/** Combines the model's tensors, those kept from its origin, and fillers for what is still missing. */
function combine(own: Weights, kept: Weights, fillers: Weights): { weights: Weights; filled: string[] } {
  const weights = new Map([...fillers, ...kept, ...own])
  return { weights, filled: [...fillers.keys()].filter((name) => !kept.has(name) && !own.has(name)) }
}

function exportTokenizer({ own, kept, origin }: Model, tokenizer: TokenizerConfig): Exported {
  const { bottleneck, softvq, encoder, latentTokens, latentChannels, imageSize, patchSize, decoder } = tokenizer
  const filled = new Set(origin.filled ?? [])
  const renamed = new Map(
    [...own].filter(([name]) => !filled.has(name)).map(([name, tensor]) => [continuousTokenizerOriginal(name), tensor])
  )
  const metadata = {
    image: `${imageSize}`,
    patch: `${patchSize}`,
    tokens: `${latentTokens}`,
    channels: `${latentChannels}`,
    model: bottleneck,
    num_heads: `${encoder.heads}`,
    decoder_num_heads: `${decoder.heads}`,
    rope_theta: `${encoder.ropeTheta}`,
    ...(softvq ? { tau: `${softvq.temperature}`, codebook_l2_norm: softvq.normalise ? 'True' : 'False' } : {})
  }
  const notes =
    encoder.heads === decoder.heads ? [] : [`its encoder has ${encoder.heads} heads, its decoder ${decoder.heads}`]
  return { ...combine(renamed, kept, continuousTokenizerFillers(tokenizer)), metadata, notes }
}

function exportGenerator({ own, kept }: Model, layout: ExportLayout, config: GeneratorConfig): Exported {
  const { model, heads, flow, latentShape } = config
  const wanted = layout === 'lightningdit' ? 'lightning-dit' : 'sit'
  if (model !== wanted) throw outOfRange('layout', model === 'sit' ? 'sit or repa' : 'lightningdit', layout)
  const onGrid = latentShape.length === 3
  const native = layout === 'repa' || !onGrid ? 'data_at_0' : 'data_at_1'
  const notes =
    flow.time === native
      ? []
      : [`its time runs from ${flow.time === 'data_at_1' ? 'noise to data' : 'data to noise'}, unlike in that project`]
  const metadata = { num_heads: `${heads}`, path_type: flow.path, prediction: flow.prediction, time: flow.time }
  const fillers = layout === 'lightningdit' && onGrid ? rotaryTables(config) : new Map<string, WeightTensor>()
  return { ...combine(own, kept, fillers), metadata, notes }
}

const ropeTheta = 10_000

/** Computes LightningDiT's buffers: cosine and sine of row and column angles, each repeated twice, [grid², D/heads]. */
function rotaryTables(config: GeneratorConfig): Weights {
  const { side } = generatorTokens(config)
  const head = config.width / config.heads
  const table = (wave: (angle: number) => number): WeightTensor => {
    const values = new Float32Array(side * side * head)
    for (let i = 0; i < values.length; i++) {
      const [position, channel] = [Math.floor(i / head), i % head]
      const coordinate = channel < head / 2 ? Math.floor(position / side) : position % side
      const pair = Math.floor((channel % (head / 2)) / 2)
      values[i] = wave(coordinate / ropeTheta ** ((4 * pair) / head))
    }
    return float32(values, [side * side, head])
  }
  return new Map([
    ['feat_rope.freqs_cos', table(Math.cos)],
    ['feat_rope.freqs_sin', table(Math.sin)]
  ])
}
