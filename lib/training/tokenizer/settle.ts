import type { RankGroup } from '../../distributed/rank-group.js'
import type { NativeAdversarialConfig, NativeTrainerConfig, Precision } from '../../native/addon.js'
import { hasGraphs } from '../../native/device.js'
import { settlePrecision } from '../settle.js'
import type { TrainingConfig } from './schema.js'

/** A configuration in which nothing depends on machine or data any more. */
export type SettledConfig = TrainingConfig & {
  precision: Precision
  optimizer: TrainingConfig['optimizer'] & { lr: number; warmup: number }
}

/** Steps of the whole run, where there are so many images to train on. */
export const totalSteps = ({ steps, epochs, batch }: TrainingConfig, images: number): number =>
  epochs === null ? steps : Math.max(1, Math.ceil((epochs * images) / batch))

/** Settles what the caller left open. Without a teacher nothing that needs one stays on. */
export function settle(
  config: TrainingConfig,
  { images, device, teacher, backbone }: { images: number; device: string; teacher: boolean; backbone: string | null }
): SettledConfig {
  const { batch, precision, optimizer, masking, align, loss, discriminator } = config
  const aligns = teacher && loss.weights.alignment > 0
  return {
    ...config,
    steps: totalSteps(config, images),
    precision: settlePrecision(precision, device),
    optimizer: {
      ...optimizer,
      lr: optimizer.lr ?? (1e-4 * batch) / 256,
      warmup: optimizer.warmup ?? Math.ceil(images / batch)
    },
    discriminator: { ...discriminator, weights: backbone },
    masking: { ...masking, semantic: teacher ? masking.semantic : 0 },
    align: { ...align, local: aligns && align.local, global: aligns && align.global }
  }
}

/** The native trainer's view of a configuration. */
export function trainerConfig(
  { seed, precision, graphs, masking, align, loss, optimizer, ema, part, discriminator }: SettledConfig,
  { device, group }: { device: string; group: RankGroup | null }
): NativeTrainerConfig {
  const { target, min, max, semantic, per } = masking
  const { betas, eps, weightDecay, clip } = optimizer
  return {
    seed,
    precision,
    // Reductions among ranks are not recorded.
    graphs: graphs ?? (!group && hasGraphs(device)),
    group: group?.native ?? null,
    sharded: group?.sharded ?? false,
    masking: { target, minRatio: min, maxRatio: max, semantic, per },
    alignment: align,
    reconstruction: loss.reconstruction,
    optimizer: { betas, eps, weightDecay, clipNorm: clip },
    ema,
    decoderOnly: part === 'decoder',
    discriminator: adversarialConfig(discriminator)
  }
}

function adversarialConfig({
  loss,
  adaptive,
  augment: { strongCutout, ...augment },
  consistency,
  lecam,
  lecamDecay
}: SettledConfig['discriminator']): NativeAdversarialConfig {
  const strong = { ...augment, probability: 1, cutout: strongCutout }
  return { loss, adaptive, augment, strong, consistency, lecam, lecamDecay }
}
