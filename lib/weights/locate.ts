/** Where weights lie that are given by name or path. */

import path from 'node:path'
import { text } from '../checks.js'
import { MactokError, outOfRange } from '../errors.js'
import { cacheFolder } from '../files/cache.mjs'
import { exists, fileSize } from '../files/stat.js'
import { cachedRepository, findSnapshot } from './hub-cache.js'

export const modelFile = 'model.safetensors'

/** The repository that a short name is pulled from: `dinov2-small` from `facebook/dinov2-small`. */
const repositoryOf = (name: string): string => (name.startsWith('dino') ? `facebook/${name}` : name)

/** Whether a path says so itself: names never begin with `.` or `/`. */
export const isPath = (nameOrPath: string): boolean =>
  path.isAbsolute(nameOrPath) || /^\.{1,2}([\\/]|$)/.test(nameOrPath)

export const isName = (name: string): boolean => /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name)

/** The repositories that a name may mean, which Python's `huggingface_hub` may have downloaded. */
const repositories = (name: string): string[] =>
  isPath(name) ? [] : [...new Set([name, repositoryOf(name)])].filter((repo) => repo.includes('/'))

/** Where weights may lie, in the order of preference. */
function candidates(nameOrPath: string): string[] {
  text('name', 'weights such as dinov2-small', nameOrPath)
  if (isPath(nameOrPath)) return [path.resolve(nameOrPath)]
  if (!isName(nameOrPath)) {
    throw outOfRange('name', 'weights such as dinov2-small, or a path that begins with . or /', nameOrPath)
  }
  const own = process.env.MACTOK_WEIGHTS
  const cache = path.join(cacheFolder(), 'weights')
  const cached = [...new Set([nameOrPath, repositoryOf(nameOrPath)])].map((name) =>
    path.join(cache, ...name.split('/'))
  )
  return own ? [path.resolve(own, nameOrPath), ...cached] : cached
}

/**
 * The folder (or file, for a path to one) of the named weights, or undefined when there is none.
 * Looks in `$MACTOK_WEIGHTS/<name>`, then in the cache, where `weights pull` and `weights import` put them, then in
 * that of Python's `huggingface_hub`.
 */
export async function locateWeights(name: string): Promise<string | undefined> {
  for (const place of candidates(name)) {
    if ((await fileSize(path.join(place, modelFile))) !== undefined) return place
    if (place.endsWith('.safetensors') && (await fileSize(place)) !== undefined) return place
  }
  for (const repo of repositories(name)) {
    const snapshot = await findSnapshot(repo)
    if (snapshot && (await fileSize(path.join(snapshot, modelFile))) !== undefined) return snapshot
  }
  return undefined
}

/**
 * The folder of a model: the given one, or that of a pulled repository `owner/name` where there is no such folder. What
 * is found nowhere is returned as it came.
 */
export async function locateModel(folder: string): Promise<string> {
  const isRepository = !isPath(folder) && isName(folder) && folder.includes('/')
  if (!isRepository || (await exists(folder))) return folder
  return (await locateWeights(folder)) ?? folder
}

/**
 * The folder (or file, for a path to one) of the named weights.
 * @throws {MactokError} `ERR_FORMAT`, listing the places searched and how to get the weights
 */
export async function findWeights(name: string): Promise<string> {
  const found = await locateWeights(name)
  if (found) return found
  const searched = [...candidates(name), ...repositories(name).map(cachedRepository)].map((place) => `  ${place}`)
  const pull = `mactok weights pull ${repositoryOf(name)}`
  const advice = isName(name)
    ? `Get them with \`${pull}\`, or set MACTOK_WEIGHTS to a folder that has ${name}/${modelFile}.`
    : `A folder of weights has ${modelFile}.`
  throw new MactokError('ERR_FORMAT', [`The weights ${name} were not found. Searched`, ...searched, advice].join('\n'))
}
