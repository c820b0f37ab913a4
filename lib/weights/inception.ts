/** The Inception-v3 of FID (TensorFlow's graph of 2015-12-05) with pytorch-fid's tensor names. */

import { MactokError } from '../errors.js'
import { locateWeights, modelFile } from './locate.js'
import type { Weights } from './tensors.js'
import { openWeights } from './weights-file.js'

/** The name that metrics look for. */
export const inceptionName = 'inception-fid'

const publishedFile = 'pt_inception-2015-12-05-6726825d.pth'
const origin = `https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/${publishedFile}`

/** Counters of batch norms, and the bias that the Inception score does not use. */
const unused = /(\.num_batches_tracked|^fc\.bias)$/

/**
 * Whether these are FID's Inception: torchvision's own has an auxiliary classifier and a wider `Mixed_5b.branch_pool`.
 */
export const isInception = (names: Iterable<string>): boolean => {
  const all = new Set(names)
  return all.has('Mixed_7c.branch3x3dbl_3b.bn.running_var') && !all.has('AuxLogits.fc.weight')
}

/**
 * Selects the weights that the network takes, and counts the classes of its classifier: 0 without one.
 * @throws {MactokError} `ERR_FORMAT` when they are another network's
 */
export function mapInception(weights: Weights): { classes: number; weights: Weights } {
  if (!isInception(weights.keys())) {
    const first = [...weights.keys()].slice(0, 3).join(', ')
    throw new MactokError('ERR_FORMAT', `Not the weights of FID's Inception-v3; their first tensors are ${first}`)
  }
  const mapped = new Map([...weights].filter(([name]) => !unused.test(name)))
  return { classes: mapped.get('fc.weight')?.shape[0] ?? 0, weights: mapped }
}

export interface InceptionCheckpoint extends AsyncDisposable {
  /** The folder or file. */
  path: string
  classes: number
  /** Read them before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens the weights by name (`inception-fid`) or by path.
 * @throws {MactokError} `ERR_FORMAT` when they are not found, saying how to get them
 */
export async function openInception(nameOrPath: string = inceptionName): Promise<InceptionCheckpoint> {
  const place = await locateWeights(nameOrPath)
  if (place === undefined) throw new MactokError('ERR_FORMAT', missing(nameOrPath))
  const file = await openWeights(place.endsWith('.safetensors') ? place : `${place}/${modelFile}`)
  const close = () => file.close()
  try {
    const { classes, weights } = mapInception(file.weights)
    return { path: place, classes, weights, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

const missing = (name: string): string =>
  [
    `The weights ${name} of FID's Inception-v3 were not found. Get them, including the Inception score's classifier, with`,
    `  curl -LO ${origin}`,
    `  mactok weights import ${publishedFile} --name ${inceptionName}`,
    `or set MACTOK_WEIGHTS to a folder that has ${inceptionName}/${modelFile}.`
  ].join('\n')
