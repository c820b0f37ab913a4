/** Mean and its standard error over a few runs. */
export interface Summary {
  mean: number
  /** Standard deviation (n − 1) over the square root of n; null for a single value. */
  error: number | null
}

/** Summarises one or more values. */
export function summarise(values: readonly number[]): Summary {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  if (count < 2) return { mean, error: null }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, error: Math.sqrt(squares / (count - 1) / count) }
}
