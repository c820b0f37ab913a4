import { outOfRange } from '../errors.js'
import type { NativeState, NativeTokenizer } from '../native/addon.js'
import { native } from '../native/errors.js'
import { fitDinov2 } from '../weights/fit.js'
import { openDinov2 } from '../weights/named.js'
import { disposeState, toState } from '../weights/state.js'
import type { TokenizerConfig } from './schema.js'

/**
 * Starts the encoder from a DINOv2 of the same width, depth and heads: patch embedding and positions resampled as timm does, the
 * rest as it is. Tokens of the tokenizer's own (latents, mask) keep their values.
 */
export async function initializeEncoder(
  network: NativeTokenizer,
  { encoder, imageSize, patchSize }: TokenizerConfig,
  weights: string
): Promise<void> {
  const checkpoint = await openDinov2(weights)
  try {
    const { config } = checkpoint
    for (const field of ['width', 'depth', 'heads', 'cls', 'registers', 'mlp'] as const) {
      const expected = { ...encoder, registers: 0, mlp: 'gelu' }[field]
      if (config.vit[field] !== expected) {
        throw outOfRange('encoderInit', `a DINOv2 with ${field} ${expected} as the encoder's`, config.vit[field])
      }
    }
    if (encoder.layerScale === null && config.vit.layerScale !== null) {
      throw outOfRange(
        'encoderInit',
        'a DINOv2 without LayerScale, as encoder.layerScale is null',
        config.vit.layerScale
      )
    }
    const dinov2 = await toState(checkpoint.weights)
    await fitDinov2(dinov2, config, { grid: imageSize / patchSize, patchSize })
    const state: NativeState = network.state()
    for (const [name, tensor] of Object.entries(dinov2)) {
      state[`encoder.${name}`]?.dispose()
      state[`encoder.${name}`] = tensor
    }
    await native(network.load(state)).finally(() => disposeState(state))
  } finally {
    await checkpoint.close()
  }
}
