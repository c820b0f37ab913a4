/** Fits DINOv2 checkpoints to another grid and patch size, as timm does. */

import type { NativeState } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import type { Dinov2Config } from './dinov2.js'

/** Resamples `pos_embed` and `patch_embed.proj.weight` of a state with timm's names, in place. */
export async function fitDinov2(
  state: NativeState,
  from: Pick<Dinov2Config, 'vit' | 'grid' | 'patchSize'>,
  to: { grid: number; patchSize: number }
): Promise<void> {
  const replace = async (name: string, make: () => Promise<NativeState[string]>) => {
    const old = state[name]
    state[name] = await native(make())
    old?.dispose()
  }
  if (to.grid !== from.grid) {
    // With registers, only the patches have positions.
    const prefix = from.vit.registers > 0 ? 0 : 1
    const sides = ({ grid }: { grid: number }): [number, number] => [grid, grid]
    await replace('pos_embed', () =>
      addon().resamplePositions(state.pos_embed as NativeState[string], prefix, sides(from), sides(to))
    )
  }
  if (to.patchSize !== from.patchSize) {
    await replace('patch_embed.proj.weight', () =>
      addon().resamplePatchKernel(state['patch_embed.proj.weight'] as NativeState[string], to.patchSize)
    )
  }
}
