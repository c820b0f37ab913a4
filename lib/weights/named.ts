/** Weights by name: where they lie, and what they are. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { cacheFolder } from '../files/cache.mjs'
import { fileSize, isFolder } from '../files/files.js'
import { type Dinov2Config, type Dinov2Json, dinov2Config, mapDinov2 } from './dinov2.js'
import { readSafetensors, type SafetensorsFile } from './reader.js'
import { fileWeights, type Weights } from './tensors.js'

const modelFile = 'model.safetensors'

/** The repository that a short name is pulled from: `dinov2-small` from `facebook/dinov2-small`. */
const repositoryOf = (name: string): string => (name.startsWith('dino') ? `facebook/${name}` : name)

export const isName = (name: string): boolean => /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name)

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
