/** The frozen networks of a run's losses, besides the teacher. */

import { MactokError, outOfRange } from '../../errors.js'
import type { NativeDiscriminator, NativePerceptual } from '../../native/addon.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { openDinov2 } from '../../weights/dinov2.js'
import { fitDinov2 } from '../../weights/fit.js'
import { locateWeights } from '../../weights/locate.js'
import { loadPerceptual } from '../../weights/perceptual.js'
import { loadNew } from '../../weights/state.js'
import type { TrainingConfig } from './schema.js'

/** DINO v1 is the method's; DINOv2 stands in for it. */
const backbones = ['dino-vits16', 'dinov2-small']

/** Features before the first block and after these. */
const levels = [2, 5, 8, 11]
const kernel = 9

/**
 * Finds the backbone's weights that a configuration names: `auto` is the first that exists; null where there is no discriminator.
 * @throws {MactokError} ERR_FORMAT when `auto` finds none
 */
export async function findBackbone({ discriminator, loss }: TrainingConfig): Promise<string | null> {
  const { weights } = discriminator
  if (weights === null || loss.weights.adversarial === 0) return null
  if (weights !== 'auto') return weights
  for (const name of backbones) {
    if (await locateWeights(name)) return name
  }
  throw new MactokError(
    'ERR_FORMAT',
    `No backbone for the discriminator was found: get one by ${backbones.map((name) => `\`mactok weights pull facebook/${name}\``).join(' or ')}, or train without by discriminator.weights none`
  )
}

/** The discriminator with its backbone's weights, its positions resampled to the input size; its heads are new. */
export async function loadDiscriminator(
  weights: string,
  { inputSize }: TrainingConfig['discriminator'],
  device: string,
  seed: number
): Promise<NativeDiscriminator> {
  await using checkpoint = await openDinov2(weights)
  const { config } = checkpoint
  const { patchSize } = config
  if (inputSize % patchSize !== 0) {
    throw outOfRange('discriminator.inputSize', `a multiple of ${patchSize}, the patch of ${weights}`, inputSize)
  }
  if (config.vit.depth <= Math.max(...levels)) {
    throw outOfRange('discriminator.weights', 'a ViT of 12 blocks or more', `${weights} of ${config.vit.depth}`)
  }
  // The method's code runs DINO v1, which has no LayerScale, with GELU's tanh approximation.
  const vit = config.vit.layerScale === null ? { ...config.vit, mlp: 'gelu_tanh' as const, normEps: 1e-6 } : config.vit
  const network = await native(addon().createDiscriminator({ vit, patchSize, inputSize, levels, kernel }, device, seed))
  return await loadNew(network, checkpoint.weights, {
    prefix: 'backbone.',
    fit: (state) => fitDinov2(state, config, { grid: inputSize / patchSize, patchSize })
  })
}

/** The networks of a run, freed together. */
export interface Networks extends AsyncDisposable {
  perceptual: NativePerceptual | null
  discriminator: NativeDiscriminator | null
}

/** Loads what a run's configuration names; `discriminator.weights` is settled. */
export async function loadNetworks({ loss, discriminator, seed }: TrainingConfig, device: string): Promise<Networks> {
  const { weights } = loss.perceptual
  const wanted = loss.weights.perceptual > 0 ? weights : null
  const perceptual = wanted === null ? null : await loadPerceptual(wanted, device)
  let loaded: NativeDiscriminator | null = null
  try {
    if (discriminator.weights !== null) {
      loaded = await loadDiscriminator(discriminator.weights, discriminator, device, seed)
    }
  } catch (error) {
    perceptual?.dispose()
    throw error
  }
  return {
    perceptual,
    discriminator: loaded,
    [Symbol.asyncDispose]: async () => {
      perceptual?.dispose()
      loaded?.dispose()
    }
  }
}
