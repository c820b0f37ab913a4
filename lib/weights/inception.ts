/** The Inception-v3 of FID (TensorFlow's graph of 2015-12-05) in pytorch-fid's names. */

import { MactokError } from '../errors.js'
import { locateWeights } from './named.js'
import { readSafetensors } from './reader.js'
import { fileWeights, type Weights } from './tensors.js'

/** Under which name metrics look for it. */
export const inceptionName = 'inception-fid'

const file = 'pt_inception-2015-12-05-6726825d.pth'
const origin = `https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/${file}`

const modelFile = 'model.safetensors'

/** Counters of training, and the bias that the Inception score does not use. */
const unused = /(\.num_batches_tracked|^fc\.bias)$/

/** Whether weights are FID's Inception: torchvision's own has an auxiliary classifier and a wider `Mixed_5b.branch_pool`. */
export const isInception = (names: Iterable<string>): boolean => {
  const all = new Set(names)
  return all.has('Mixed_7c.branch3x3dbl_3b.bn.running_var') && !all.has('AuxLogits.fc.weight')
}

/**
 * The weights that the network takes, and the number of classes of its classifier: 0 without one.
 * @throws MactokError `ERR_FORMAT` when they are another network's
 */
export function mapInception(weights: Weights): { classes: number; weights: Weights } {
  if (!isInception(weights.keys())) {
    const first = [...weights.keys()].slice(0, 3).join(', ')
    throw new MactokError('ERR_FORMAT', `Not the weights of FID's Inception-v3; they begin with ${first}`)
  }
  const mapped = new Map([...weights].filter(([name]) => !unused.test(name)))
  return { classes: mapped.get('fc.weight')?.shape[0] ?? 0, weights: mapped }
}

export interface InceptionCheckpoint {
  path: string
  classes: number
  /** Read when asked for: before `close`. */
  weights: Weights
  close(): Promise<void>
}

/**
 * Opens the weights by name (`inception-fid`) or by path.
 * @throws MactokError `ERR_FORMAT` that tells how to get them
 */
export async function openInception(nameOrPath: string = inceptionName): Promise<InceptionCheckpoint> {
  const place = await locateWeights(nameOrPath)
  if (place === undefined) throw new MactokError('ERR_FORMAT', missing(nameOrPath))
  const opened = await readSafetensors(place.endsWith('.safetensors') ? place : `${place}/${modelFile}`)
  try {
    return { path: place, ...mapInception(fileWeights(opened)), close: () => opened.close() }
  } catch (error) {
    await opened.close()
    throw error
  }
}

const missing = (name: string): string =>
  [
    `The weights ${name} of FID's Inception-v3 were not found. Get them, the classifier for the Inception score included, by`,
    `  curl -LO ${origin}`,
    `  mactok weights import ${file} --name ${inceptionName}`,
    `or set MACTOK_WEIGHTS to a folder that has ${inceptionName}/${modelFile}.`
  ].join('\n')
