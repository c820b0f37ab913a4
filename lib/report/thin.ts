import type { MetricsRecord } from '../runs/metrics.js'

/** Points of a curve that are worth drawing. */
const most = 4000

/** Of a long log every k-th line, all evaluations, and the last. */
export function thinned(lines: readonly MetricsRecord[]): MetricsRecord[] {
  const every = Math.ceil(lines.length / most)
  return lines.filter((line, i) => i % every === 0 || 'evaluation' in line || i === lines.length - 1)
}
