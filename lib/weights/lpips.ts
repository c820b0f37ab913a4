/** LPIPS checkpoints in every published layout, mapped to the names of the `lpips` package. */

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { pathTo } from '../checks.js'
import { MactokError } from '../errors.js'
import { isFolder } from '../files/stat.js'
import { findWeights, isPath } from './locate.js'
import { checkWeights, type Weights, type WeightTensor } from './tensors.js'
import { type OpenWeights, openWeights } from './weights-file.js'

export type LpipsNetwork = 'vgg' | 'alex'

/** Indices of the layers in torchvision's `features`, by slice. */
const slices: Record<LpipsNetwork, readonly (readonly number[])[]> = {
  vgg: [
    [0, 2],
    [5, 7],
    [10, 12, 14],
    [17, 19, 21],
    [24, 26, 28]
  ],
  alex: [[0], [3], [6], [8], [10]]
}

/** torchvision's classifier, the package's constants, and its second set of names for the heads. */
const unused = /^(classifier|avgpool|scaling_layer|lins)\./

/** Maps `features.5.weight` to `net.slice2.5.weight`; other names stay the same. */
function lpipsName(name: string, network: LpipsNetwork): string {
  const [, layer, kind] = /^(?:net\.)?features\.(\d+)\.(weight|bias)$/.exec(name) ?? []
  if (layer === undefined) return name
  const slice = slices[network].findIndex((layers) => layers.includes(Number(layer)))
  return `net.slice${slice + 1}.${layer}.${kind}`
}

const isFirstLayer = (name: string) => /^(net\.slice1|(net\.)?features)\.0\.weight$/.test(name)

/** The network of a checkpoint: AlexNet's first kernel is 11 wide, VGG's 3. */
export function detectLpips(weights: Weights): LpipsNetwork | undefined {
  checkWeights(weights)
  const first = [...weights].find(([name]) => isFirstLayer(name))?.[1]
  return first && { 3: 'vgg' as const, 11: 'alex' as const }[first.shape[3] as number]
}

/**
 * Maps a checkpoint to the names of the `lpips` package: one of the package itself, or torchvision's network with the
 * package's linear heads.
 * @throws {MactokError} `ERR_FORMAT` when it is neither, or incomplete
 */
export function mapLpips(weights: Weights): { network: LpipsNetwork; weights: Weights } {
  const network = detectLpips(weights)
  if (!network) {
    const first = [...weights.keys()].slice(0, 3).join(', ')
    throw new MactokError(
      'ERR_FORMAT',
      `Not the weights of LPIPS (VGG-16 or AlexNet); their first tensors are ${first}`
    )
  }
  const expected = new Set(
    slices[network].flatMap((layers, i) => [
      ...layers.flatMap((layer) => ['weight', 'bias'].map((kind) => `net.slice${i + 1}.${layer}.${kind}`)),
      `lin${i}.model.1.weight`
    ])
  )
  const mapped = new Map<string, WeightTensor>()
  for (const [name, tensor] of weights) {
    if (unused.test(name)) continue
    const target = lpipsName(name, network)
    if (!expected.has(target)) throw new MactokError('ERR_FORMAT', `Unexpected tensor "${name}" among LPIPS weights`)
    mapped.set(target, tensor)
  }
  const missing = [...expected].find((name) => !mapped.has(name))
  if (missing) throw new MactokError('ERR_FORMAT', `The LPIPS weights lack "${missing}"`)
  return { network, weights: mapped }
}

export interface LpipsCheckpoint extends AsyncDisposable {
  /** The folder or file. */
  path: string
  network: LpipsNetwork
  /** Tensors in the package's names; read them before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens LPIPS weights by name (`lpips-vgg`) or by path: one file, or a folder whose safetensors files together have the
 * backbone and the heads.
 * @throws {MactokError} `ERR_FORMAT` when they are not found or not LPIPS
 */
export async function openLpips(nameOrPath: string): Promise<LpipsCheckpoint> {
  pathTo('nameOrPath', nameOrPath)
  const place = await findLpips(nameOrPath)
  const names = (await isFolder(place)) ? (await readdir(place)).filter((name) => name.endsWith('.safetensors')) : null
  const files: OpenWeights[] = []
  const close = async () => {
    await Promise.all(files.map((file) => file.close()))
  }
  try {
    for (const name of names?.sort() ?? ['']) files.push(await openWeights(path.join(place, name)))
    const { network, weights } = mapLpips(new Map(files.flatMap(({ weights }) => [...weights])))
    return { path: place, network, weights, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Like `findWeights`, but takes a folder by path without a model.safetensors: its files may have any names. */
const findLpips = async (nameOrPath: string): Promise<string> =>
  isPath(nameOrPath) && (await isFolder(nameOrPath)) ? path.resolve(nameOrPath) : findWeights(nameOrPath)
