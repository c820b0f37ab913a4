import { outOfRange } from '../errors.js'
import type { NativeTokenizer } from '../native/addon.js'
import { openDinov2 } from '../weights/dinov2.js'
import { fitDinov2 } from '../weights/fit.js'
import { loadInto } from '../weights/state.js'
import type { TokenizerConfig } from './schema.js'

/**
 * Initialises the encoder from a DINOv2 of the same width, depth and heads; patch embedding and positions are resampled
 * as timm does. Tokens that DINOv2 does not have (latents, mask) keep their values.
 */
export async function initialiseEncoder(
  network: NativeTokenizer,
  { encoder, imageSize, patchSize }: TokenizerConfig,
  weights: string
): Promise<void> {
  await using checkpoint = await openDinov2(weights)
  const { config } = checkpoint
  for (const field of ['width', 'depth', 'heads', 'cls', 'registers', 'mlp'] as const) {
    const expected = { ...encoder, registers: 0, mlp: 'gelu' }[field]
    if (config.vit[field] !== expected) {
      throw outOfRange('encoderInit', `a DINOv2 with ${field} ${expected} as the encoder's`, config.vit[field])
    }
  }
  if (encoder.layerScale === null && config.vit.layerScale !== null) {
    const { layerScale } = config.vit
    throw outOfRange('encoderInit', 'a DINOv2 without LayerScale, as encoder.layerScale is null', layerScale)
  }
  await loadInto(network, checkpoint.weights, {
    prefix: 'encoder.',
    fit: (state) => fitDinov2(state, config, { grid: imageSize / patchSize, patchSize })
  })
}
