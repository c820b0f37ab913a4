/** LPIPS checkpoints in the layouts that are around, brought to the names of the `lpips` package. */

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { pathTo } from '../checks.js'
import { MactokError } from '../errors.js'
import { isFolder } from '../files/files.js'
import type { NativePerceptual } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { findWeights } from './named.js'
import { readSafetensors, type SafetensorsFile } from './reader.js'
import { loadWeights } from './state.js'
import { fileWeights, type Weights, type WeightTensor } from './tensors.js'

export type LpipsNetwork = 'vgg' | 'alex'

/** Layers of torchvision's `features` by slice. */
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

/** torchvision's classifier, the package's constants, and its second names of the heads. */
const unused = /^(classifier|avgpool|scaling_layer|lins)\./

/** `features.5.weight` as `net.slice2.5.weight`; other names stay. */
function lpipsName(name: string, network: LpipsNetwork): string {
  const [, layer, kind] = /^(?:net\.)?features\.(\d+)\.(weight|bias)$/.exec(name) ?? []
  if (layer === undefined) return name
  const slice = slices[network].findIndex((layers) => layers.includes(Number(layer)))
  return `net.slice${slice + 1}.${layer}.${kind}`
}

const isFirstLayer = (name: string) => /^(net\.slice1|(net\.)?features)\.0\.weight$/.test(name)

/** The network that a checkpoint has: AlexNet's first kernel is 11 wide, VGG's 3. */
export function detectLpips(weights: Weights): LpipsNetwork | undefined {
  const first = [...weights].find(([name]) => isFirstLayer(name))?.[1]
  return first && { 3: 'vgg' as const, 11: 'alex' as const }[first.shape[3] as number]
}

/**
 * The package's names for a checkpoint of the package, for torchvision's network with the package's linear heads, and for
 * both in one.
 * @throws MactokError `ERR_FORMAT` when it is none of them, or not complete
 */
export function mapLpips(weights: Weights): { network: LpipsNetwork; weights: Weights } {
  const network = detectLpips(weights)
  if (!network) {
    const first = [...weights.keys()].slice(0, 3).join(', ')
    throw new MactokError('ERR_FORMAT', `Not the weights of LPIPS (VGG-16 or AlexNet); they begin with ${first}`)
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

export interface LpipsCheckpoint {
  path: string
  network: LpipsNetwork
  /** Tensors in the package's names, read when asked for: before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens LPIPS weights by name (`lpips-vgg`) or by path: one file, or a folder whose safetensors files together have backbone and
 * heads.
 * @throws MactokError `ERR_FORMAT` when they are not found or not LPIPS
 */
export async function openLpips(nameOrPath: string): Promise<LpipsCheckpoint> {
  pathTo('nameOrPath', nameOrPath)
  const place = await lpipsPlace(nameOrPath)
  const names = (await isFolder(place)) ? (await readdir(place)).filter((name) => name.endsWith('.safetensors')) : null
  const files: SafetensorsFile[] = []
  const close = async () => {
    await Promise.all(files.map((file) => file.close()))
  }
  try {
    for (const name of names?.sort() ?? ['']) files.push(await readSafetensors(path.join(place, name)))
    return { path: place, ...mapLpips(new Map(files.flatMap((file) => [...fileWeights(file)]))), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Two files in a folder need none of them to be called model.safetensors. */
async function lpipsPlace(nameOrPath: string): Promise<string> {
  const isPath = path.isAbsolute(nameOrPath) || /^\.{1,2}([\\/]|$)/.test(nameOrPath)
  return isPath && (await isFolder(nameOrPath)) ? path.resolve(nameOrPath) : findWeights(nameOrPath)
}

/** LPIPS with its weights. */
export async function loadPerceptual(weights: string, device: string): Promise<NativePerceptual> {
  const checkpoint = await openLpips(weights)
  try {
    const network = await native(addon().createPerceptual(checkpoint.network, device))
    await loadWeights(network, checkpoint.weights)
    return network
  } finally {
    await checkpoint.close()
  }
}
