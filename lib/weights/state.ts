/** Moves parameters between files and native networks. */

import type { Hash } from 'node:crypto'
import { type Checksum, damaged, type RecordedChecksum } from '../files/checksums.js'
import type { NativeState, NativeTensor } from '../native/addon.js'
import { Crc32c } from '../native/checksums.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { asTypedArray, type DType } from '../tensor/dtype.js'
import { Mappings } from './mapping.js'
import type { SafetensorsFile } from './reader.js'
import { notFinite, type Weights } from './tensors.js'
import { writeWithChecksums } from './writer.js'

/** A file that is compared with its checksum while all of its tensors are loaded. */
export interface Verification extends RecordedChecksum {
  file: SafetensorsFile
}

/**
 * Makes CPU tensors of weights, memory-mapped from their file where that is safe. The caller disposes them.
 * @throws {MactokError} `ERR_FORMAT` for values that are not finite, naming the tensor, and for a damaged file
 */
export async function toState(weights: Weights, verification?: Verification): Promise<NativeState> {
  const mappings = new Mappings(addon())
  const state: NativeState = {}
  const sums = new Map<string, number>()
  try {
    for (const [name, tensor] of weights) {
      const loaded =
        (await mappings.view(tensor)) ?? addon().tensor(await tensor.bytes(), tensor.dtype, [...tensor.shape], 'cpu')
      state[name] = loaded
      // Most files have no checksum to compare with, or were compared already.
      const checked = verification ? await native(loaded.check()) : { isFinite: await native(loaded.isFinite()) }
      if (!checked.isFinite) throw notFinite(name, tensor.place?.path)
      if ('crc32c' in checked) sums.set(name, checked.crc32c)
    }
    if (verification && (await joinSums(verification.file, sums)) !== verification.crc32c) {
      throw damaged(verification.file.path, verification.recorded)
    }
    return state
  } catch (error) {
    disposeState(state)
    throw error
  } finally {
    mappings.close()
  }
}

/** The CRC-32C of a file whose tensors have these. */
async function joinSums(file: SafetensorsFile, sums: ReadonlyMap<string, number>): Promise<string> {
  const crc = new Crc32c()
  crc.update(await file.headerBytes())
  const inOrder = [...file.tensors.values()].sort((a, b) => a.offset - b.offset)
  for (const { name, byteLength } of inOrder) crc.append(sums.get(name) as number, byteLength)
  return crc.digest()
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
  /** Compares the checkpoint's file with its checksum. */
  verification?: Verification | undefined
}

/**
 * Loads a checkpoint's weights into a network, or into a part of it; each of its parameters must be there in its shape.
 */
export async function loadInto(network: Loadable, checkpoint: Weights, options: LoadIntoOptions = {}): Promise<void> {
  const { prefix, verification } = options
  const loaded = await toState(checkpoint, verification)
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
