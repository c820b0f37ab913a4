import type { MetricsRecord } from '../runs/metrics.js'

/** The number of points worth drawing in a curve. */
const most = 4000

/** Thins a long log to every k-th line, all evaluations, and the last line. */
export function thin(lines: readonly MetricsRecord[]): MetricsRecord[] {
  const every = Math.ceil(lines.length / most)
  return lines.filter((line, i) => i % every === 0 || 'evaluation' in line || i === lines.length - 1)
}
