/** Mean and its standard error over a few runs. */
export interface Summary {
  mean: number
  /** Standard deviation (n − 1) over the square root of n; null for a single value. */
  error: number | null
}

/** Mean and variance (n − 1) of one or more values; of a single value the variance is null. */
export function meanAndVariance(values: readonly number[]): { mean: number; variance: number | null } {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  if (count < 2) return { mean, variance: null }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, variance: squares / (count - 1) }
}

/** Summarises one or more values. */
export function summarise(values: readonly number[]): Summary {
  const { mean, variance } = meanAndVariance(values)
  return { mean, error: variance === null ? null : Math.sqrt(variance / values.length) }
}
