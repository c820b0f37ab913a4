import type { NativePerceptual } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { openLpips } from './lpips.js'
import { loadNew } from './state.js'

/** Builds LPIPS and loads its weights, given by name or path. */
export async function loadPerceptual(weights: string, device: string): Promise<NativePerceptual> {
  await using checkpoint = await openLpips(weights)
  const network = await native(addon().createPerceptual(checkpoint.network, device))
  return await loadNew(network, checkpoint.weights)
}
