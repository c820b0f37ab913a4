import type { RankGroup } from '../../distributed/rank-group.js'
import type { NativeFlowTrainerConfig, Precision } from '../../native/addon.js'
import { hasGraphs } from '../../native/device.js'
import { settlePrecision } from '../settle.js'
import type { GeneratorTrainingConfig } from './schema.js'

/** A configuration in which nothing depends on machine or data any more. */
export type SettledGeneratorConfig = GeneratorTrainingConfig & { precision: Precision }

/** Settles what the caller left open. */
export const settle = (config: GeneratorTrainingConfig, device: string): SettledGeneratorConfig => ({
  ...config,
  precision: settlePrecision(config.precision, device)
})

/** The native trainer's view of a configuration. */
export function trainerConfig(
  { seed, precision, graphs, flow, loss, timesteps, labelDropout, ema, optimizer }: SettledGeneratorConfig,
  { device, group }: { device: string; group: RankGroup | null }
): NativeFlowTrainerConfig {
  const { betas, eps, weightDecay, clip } = optimizer
  return {
    seed,
    precision,
    // Reductions among ranks are not recorded.
    graphs: graphs ?? (!group && hasGraphs(device)),
    group: group?.native ?? null,
    sharded: group?.sharded ?? false,
    flow,
    loss,
    timesteps,
    labelDropout,
    ema,
    optimizer: { betas, eps, weightDecay, clipNorm: clip }
  }
}
