/** Moves parameters between files and native networks. */

import type { Hash } from 'node:crypto'
import type { Checksum } from '../files/checksums.js'
import type { NativeState, NativeTensor } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { asTypedArray, type DType } from '../tensor/dtype.js'
import { Mappings } from './mapping.js'
import { notFinite, type Weights } from './tensors.js'
import { writeWithChecksums } from './writer.js'

/**
 * Makes CPU tensors of weights, memory-mapped from their file where that is safe. The caller disposes them.
 * @throws {MactokError} `ERR_FORMAT` for values that are not finite, naming the tensor
 */
export async function toState(weights: Weights): Promise<NativeState> {
  const mappings = new Mappings(addon())
  const state: NativeState = {}
  try {
    for (const [name, tensor] of weights) {
      state[name] =
        (await mappings.view(tensor)) ?? addon().tensor(await tensor.bytes(), tensor.dtype, [...tensor.shape], 'cpu')
      if (!(await native(state[name].isFinite()))) throw notFinite(name, tensor.place?.path)
    }
    return state
  } catch (error) {
    disposeState(state)
    throw error
  } finally {
    mappings.close()
  }
}

export function disposeState(state: NativeState): void {
  for (const tensor of Object.values(state)) tensor.dispose()
}

/** Updates a hash with the names and values of the tensors that are `included`, in the order of names, and disposes all. */
export async function hashState(
  hash: Hash,
  state: NativeState,
  included: (name: string) => boolean = () => true
): Promise<void> {
  try {
    for (const name of Object.keys(state).filter(included).sort()) {
      hash.update(name).update(new Uint8Array(await native((state[name] as NativeTensor).read())))
    }
  } finally {
    disposeState(state)
  }
}

/** Counts the elements of all tensors, and disposes the tensors. */
export function countElements(state: NativeState): number {
  const sizes = Object.values(state).map(({ shape }) => shape.reduce((product, length) => product * length, 1))
  disposeState(state)
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Whatever has parameters that can be read and replaced. */
export interface Loadable {
  /** The parameters by name; the caller disposes the tensors. */
  state(): NativeState
  /** Replaces every parameter. */
  load(state: NativeState): Promise<void>
}

export interface LoadIntoOptions {
  /**
   * The part of the network to load, `encoder.`: prefixed to the names in the checkpoint. The other parameters stay as
   * they are.
   */
  prefix?: string
  /** Adapts the checkpoint's tensors to the network in place, before they are loaded. */
  fit?: (state: NativeState) => Promise<void>
}

/**
 * Loads a checkpoint's weights into a network, or into a part of it; each of its parameters must be there in its shape.
 */
export async function loadInto(network: Loadable, checkpoint: Weights, options: LoadIntoOptions = {}): Promise<void> {
  const { prefix } = options
  const loaded = await toState(checkpoint)
  const others = prefix === undefined ? {} : network.state()
  try {
    await options.fit?.(loaded)
    const renamed = Object.entries(loaded).map(([name, tensor]) => [`${prefix ?? ''}${name}`, tensor] as const)
    await native(network.load({ ...others, ...Object.fromEntries(renamed) }))
  } finally {
    disposeState(loaded)
    disposeState(others)
  }
}

/** Loads weights into a new network as `loadInto` does; disposes of it where that fails. */
export async function loadNew<Network extends Loadable & { dispose(): void }>(
  network: Network,
  checkpoint: Weights,
  options: LoadIntoOptions = {}
): Promise<Network> {
  try {
    await loadInto(network, checkpoint, options)
    return network
  } catch (error) {
    network.dispose()
    throw error
  }
}

/** Writes a network's parameters to a safetensors file, one tensor in memory at a time; returns its checksums. */
export async function saveState(
  file: string,
  state: NativeState,
  metadata: Record<string, string> = {}
): Promise<Checksum> {
  const tensors = Object.entries(state).map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype as DType,
    shape: tensor.shape,
    data: async () => asTypedArray(tensor.dtype as DType, await native(tensor.read()))
  }))
  return writeWithChecksums(file, tensors, metadata)
}
