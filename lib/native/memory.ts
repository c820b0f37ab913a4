/** The memory of devices, and what is refused because it cannot fit into it. */

import { totalmem } from 'node:os'
import { MactokError } from '../errors.js'
import { addon } from './load.js'

/** `12.3 GB` */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`

/** `this machine`, `cuda:0` */
export const placeOf = (device: string): string => (device === 'cpu' ? 'this machine' : device)

/** Bytes of a device's memory; of the CPU what this process may use of it. Undefined where nobody says. */
export async function memoryOf(device: string): Promise<number | undefined> {
  if (device !== 'cpu') return (await addon().deviceMemory(device))?.total
  // Zero or more than there is where nothing constrains the process.
  const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY
  return Math.min(totalmem(), limit)
}

/**
 * Refuses what cannot fit, before the system ends a process for want of memory.
 * @param what - such as `The weights of this tokenizer`
 * @param bytes - the least that it takes
 * @throws {MactokError} ERR_OUT_OF_MEMORY, with both figures
 */
export async function requireMemory(what: string, bytes: number, device: string, remedy: string): Promise<void> {
  // Every device has so much, and to ask a GPU takes a turn of its engine.
  if (bytes < 2e9) return
  const available = await memoryOf(device)
  if (available === undefined || bytes <= available) return
  throw new MactokError(
    'ERR_OUT_OF_MEMORY',
    `${what} take ${gigabytes(bytes)}, more than the ${gigabytes(available)} of ${placeOf(device)}: ${remedy}`
  )
}
