import type { Precision } from '../native/addon.js'
import { bestPrecision } from '../native/device.js'
import { freeSettings } from '../runs/record.js'
import type { SharedConfig } from './schema.js'

export const settlePrecision = (precision: SharedConfig['precision'], device: string): Precision =>
  precision === 'auto' ? bestPrecision(device) : precision

/**
 * The settings of a resumed run: it computes as it did before, even where `auto` would now choose otherwise; what a resumed run may
 * change is taken from its new configuration.
 */
export function resumeSettings<Settled extends SharedConfig>(
  earlier: Settled,
  config: SharedConfig,
  steps: number
): Settled {
  const changed = Object.entries(config).filter(([name]) => (freeSettings as readonly string[]).includes(name))
  return { ...earlier, ...Object.fromEntries(changed), steps }
}
