/** Between tensors by name on disk and the parameters of a native network. */

import type { NativeState } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { asTypedArray, type DType } from '../tensor/dtype.js'
import { Mappings } from './mapping.js'
import type { Weights } from './tensors.js'
import { writeSafetensors } from './writer.js'

/** Native tensors on the CPU with the weights' bytes, mapped from their file where that is safe; the caller disposes them. */
export async function toState(weights: Weights): Promise<NativeState> {
  const mappings = new Mappings(addon())
  const state: NativeState = {}
  try {
    for (const [name, tensor] of weights) {
      state[name] =
        (await mappings.view(tensor)) ?? addon().tensor(await tensor.bytes(), tensor.dtype, [...tensor.shape], 'cpu')
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

/** The number of elements of all tensors, which are disposed. */
export function countElements(state: NativeState): number {
  const sizes = Object.values(state).map(({ shape }) => shape.reduce((product, length) => product * length, 1))
  disposeState(state)
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Loads weights into a network; every parameter must be there in its shape. */
export async function loadWeights(
  network: { load(state: NativeState): Promise<void> },
  weights: Weights
): Promise<void> {
  const state = await toState(weights)
  try {
    await native(network.load(state))
  } finally {
    disposeState(state)
  }
}

/** Writes a network's parameters, one tensor in memory at a time. */
export async function saveState(
  file: string,
  state: NativeState,
  metadata: Record<string, string> = {}
): Promise<void> {
  const tensors = Object.entries(state).map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype as DType,
    shape: tensor.shape,
    data: async () => asTypedArray(tensor.dtype as DType, await native(tensor.read()))
  }))
  await writeSafetensors(file, tensors, metadata)
}
