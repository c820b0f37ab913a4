/** Weights by name: where they lie, what they are, and bringing foreign ones in. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { cacheFolder } from '../cache.mjs'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { writeJson } from './atomic.js'
import { isContinuousTokenizer, mapContinuousTokenizer } from './continuous-tokenizer.js'
import { type Dinov2Config, type Dinov2Json, detectDinov2, dinov2Config, mapDinov2 } from './dinov2.js'
import { fileSize, isFolder } from './files.js'
import { readSafetensors, type SafetensorsFile } from './reader.js'
import { fileWeights, type Weights } from './tensors.js'
import { writeSafetensors } from './writer.js'

const modelFile = 'model.safetensors'

/** The repository that a short name is pulled from: `dinov2-small` from `facebook/dinov2-small`. */
const repositoryOf = (name: string): string => (name.startsWith('dino') ? `facebook/${name}` : name)

const isName = (name: string): boolean => /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name)

function places(name: string): string[] {
  if (typeof name !== 'string') throw invalidParameter('name', 'weights such as dinov2-small', name)
  if (path.isAbsolute(name) || /^\.{1,2}([\\/]|$)/.test(name)) return [path.resolve(name)]
  if (!isName(name)) throw outOfRange('name', 'weights such as dinov2-small, or a path that begins with . or /', name)
  const own = process.env.MACTOK_WEIGHTS
  const cache = path.join(cacheFolder(), 'weights')
  const names = new Set([name, repositoryOf(name)])
  return [...(own ? [path.resolve(own, name)] : []), ...[...names].map((each) => path.join(cache, ...each.split('/')))]
}

/**
 * The folder (or file, for a path to one) that has the named weights, or undefined.
 * Looks in `$MACTOK_WEIGHTS/<name>`, then in the cache, where `weights pull` and `weights import` put them.
 */
export async function locateWeights(name: string): Promise<string | undefined> {
  for (const place of places(name)) {
    if ((await fileSize(path.join(place, modelFile))) !== undefined) return place
    if (place.endsWith('.safetensors') && (await fileSize(place)) !== undefined) return place
  }
  return undefined
}

/**
 * The folder that has the named weights.
 * @throws MactokError `ERR_FORMAT` that tells where was looked and how to get them
 */
export async function findWeights(name: string): Promise<string> {
  const found = await locateWeights(name)
  if (found) return found
  const tried = places(name).map((place) => `  ${place}`)
  const pull = isName(name)
    ? `Get them by \`mactok weights pull ${repositoryOf(name)}\`, or set MACTOK_WEIGHTS to a folder that has ${name}/${modelFile}.`
    : `A folder of weights has ${modelFile}.`
  throw new MactokError('ERR_FORMAT', [`The weights ${name} were not found. Looked in`, ...tried, pull].join('\n'))
}

interface OpenWeights {
  file: SafetensorsFile
  weights: Weights
  /** What stands in `config.json` beside the weights, or nothing. */
  json: Record<string, unknown>
}

async function openWeights(place: string): Promise<OpenWeights> {
  const inFolder = await isFolder(place)
  const file = await readSafetensors(inFolder ? path.join(place, modelFile) : place)
  try {
    const config = path.join(inFolder ? place : path.dirname(place), 'config.json')
    return {
      file,
      weights: fileWeights(file),
      json: parseJson(await readFile(config, 'utf8').catch(() => '{}'), config)
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

function parseJson(text: string, file: string): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON`, { cause })
  }
}

export interface Dinov2Checkpoint {
  /** Where it was found. */
  path: string
  config: Dinov2Config
  /** Tensors in timm's names and conventions, read when asked for: before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens a DINOv2 checkpoint of any layout, by name (`dinov2-small`) or by path.
 * @throws MactokError `ERR_FORMAT` when it is not found or not a DINOv2
 */
export async function openDinov2(nameOrPath: string): Promise<Dinov2Checkpoint> {
  const place = await findWeights(nameOrPath)
  const { file, weights, json } = await openWeights(place)
  try {
    const mapped = mapDinov2(weights)
    return { path: place, config: dinov2Config(mapped, json as Dinov2Json), weights: mapped, close: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

const writeWeights = (folder: string, weights: Weights, origin: string): Promise<void> =>
  writeSafetensors(
    path.join(folder, modelFile),
    [...weights].map(([name, tensor]) => ({
      name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: () => tensor.bytes()
    })),
    { format: 'pt', origin }
  )

export interface ImportedWeights {
  folder: string
  kind: 'dinov2' | 'tokenizer'
  /** Tensors that MacTok has no use for and left out. */
  ignored: string[]
}

/**
 * Converts a foreign checkpoint to MacTok's names and keeps it in the cache under a name of your own.
 * Knows DINOv2 (Hugging Face, timm and original layout) and the tokenizers of continuous_tokenizer.
 * @throws MactokError `ERR_FORMAT` for other layouts
 */
export async function importWeights(folderOrFile: string, { name }: { name: string }): Promise<ImportedWeights> {
  if (typeof name !== 'string' || !isName(name)) throw outOfRange('name', 'a name such as my-dinov2', name)
  const folder = path.join(cacheFolder(), 'weights', ...name.split('/'))
  const { file, weights, json } = await openWeights(folderOrFile)
  try {
    if (isContinuousTokenizer(weights.keys())) {
      const heads = json.num_attention_heads as number | undefined
      const tokenizer = mapContinuousTokenizer(weights, heads === undefined ? {} : { encoder: heads, decoder: heads })
      if (tokenizer.config.bottleneck === 'softvq') {
        throw new MactokError(
          'ERR_FORMAT',
          `${file.path} has a SoftVQ bottleneck, which this version does not have yet`
        )
      }
      await writeWeights(folder, tokenizer.weights, path.basename(folderOrFile))
      const config = { formatVersion: 1, model: 'tokenizer', tokenizer: tokenizer.config }
      await writeJson(path.join(folder, 'config.json'), config)
      return { folder, kind: 'tokenizer', ignored: tokenizer.ignored }
    }
    const layout = detectDinov2(weights.keys())
    if (!layout) {
      const first = [...weights.keys()].slice(0, 3).join(', ')
      throw new MactokError(
        'ERR_FORMAT',
        `${file.path} is neither a DINOv2 nor a continuous_tokenizer checkpoint; it begins with ${first}`
      )
    }
    const mapped = mapDinov2(weights, layout)
    const { vit, patchSize, grid } = dinov2Config(mapped, json as Dinov2Json)
    await writeWeights(folder, mapped, path.basename(folderOrFile))
    await writeJson(path.join(folder, 'config.json'), {
      model_type: 'dinov2',
      hidden_size: vit.width,
      num_hidden_layers: vit.depth,
      num_attention_heads: vit.heads,
      patch_size: patchSize,
      image_size: patchSize * grid,
      layer_norm_eps: vit.normEps,
      layerscale_value: vit.layerScale ?? undefined,
      use_swiglu_ffn: vit.mlp === 'swiglu',
      num_register_tokens: vit.registers
    })
    return { folder, kind: 'dinov2', ignored: [] }
  } finally {
    await file.close()
  }
}
