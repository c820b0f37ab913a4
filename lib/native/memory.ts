/** The memory of devices, and what is refused because it cannot fit into it. */

import { totalmem } from 'node:os'
import { MactokError } from '../errors.js'
import { addon } from './load.js'

/** `12.3 GB` */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`

/** `this machine`, `cuda:0` */
export const placeOf = (device: string): string => (device === 'cpu' ? 'this machine' : device)

/** Bytes of memory that this process may use. */
function hostMemory(): number {
  // Zero or more than there is where nothing constrains the process.
  const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY
  return Math.min(totalmem(), limit)
}

/** Bytes of a device's memory; undefined where nobody says. */
export const memoryOf = async (device: string): Promise<number | undefined> =>
  device === 'cpu' ? hostMemory() : (await addon().deviceMemory(device))?.total

/**
 * Refuses what this machine cannot hold, before its system ends the process. A GPU that is full says so by itself.
 * @param what - such as `The weights of this tokenizer`
 * @param bytes - the least that it takes
 * @throws {MactokError} ERR_OUT_OF_MEMORY, with both figures
 */
export function requireHostMemory(what: string, bytes: number, remedy: string): void {
  const available = hostMemory()
  if (bytes <= available) return
  throw new MactokError(
    'ERR_OUT_OF_MEMORY',
    `${what} take ${gigabytes(bytes)}, more than the ${gigabytes(available)} of this machine: ${remedy}`
  )
}
