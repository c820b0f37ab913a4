import { MactokError } from '../errors.js'
import { native } from '../native/errors.js'
import type { Tensor } from './tensor.js'

/**
 * Returns the result of a network, if all of it is finite; else disposes it.
 * @param what - `latents`
 * @throws {MactokError} ERR_DIVERGED naming the first row that has other values
 */
export async function requireFinite<T extends Tensor>(what: string, result: T): Promise<T> {
  try {
    await checkFinite(what, result)
    return result
  } catch (error) {
    result.dispose()
    throw error
  }
}

async function checkFinite(what: string, result: Tensor): Promise<void> {
  if (await native(result.native.isFinite())) return
  const values = await result.toFloat32()
  const row = Math.floor(
    (values.findIndex((value) => !Number.isFinite(value)) * (result.shape[0] as number)) / values.length
  )
  throw new MactokError(
    'ERR_DIVERGED',
    `The ${what} of row ${row} are not finite: its input is not, or the weights are damaged`
  )
}
