/** Schedules as pure functions of the step; the first optimiser step is step 0. */

export interface LearningRateSchedule {
  peak: number
  /** Steps of linear warm-up, from peak/warmup. */
  warmup: number
  /** Steps of the whole run. */
  steps: number
  /** End of the cosine as a fraction of the peak. */
  final: number
}

/** Linear warm-up, then cosine to `final · peak` (torch's LinearLR followed by CosineAnnealingLR). */
export function learningRate(step: number, { peak, warmup, steps, final }: LearningRateSchedule): number {
  if (step < warmup) return (peak * (step + 1)) / warmup
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup))
  return peak * (final + (1 - final) * 0.5 * (1 + Math.cos(Math.PI * progress)))
}

export interface Annealing {
  kind: 'none' | 'linear' | 'cyclical'
  /** Steps of the linear ramp, or of one cycle. */
  steps: number
  /** Fraction of a cycle in which the weight grows. */
  ramp: number
}

/** The KL weight at a step: constant, a linear ramp from 0, or the cycles of Fu et al. 2019 (arXiv:1903.10145). */
export function klWeight(step: number, weight: number, { kind, steps, ramp }: Annealing): number {
  if (kind === 'none') return weight
  if (kind === 'linear') return weight * Math.min(1, step / steps)
  const phase = (step % steps) / steps
  return weight * (phase < ramp ? phase / ramp : 1)
}

/** A weight that grows linearly from 0 over the first `warmup` steps. */
export const warmedUp = (step: number, weight: number, warmup: number): number =>
  step < warmup ? (weight * step) / warmup : weight
