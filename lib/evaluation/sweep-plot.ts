import { join } from 'node:path'
import { writeText } from '../files/atomic.js'
import { lineChart } from '../plot/line-chart.js'
import { type GenerationMetric, generationMetrics, metricTitles } from './metric-names.js'
import type { Sweep, SweepPoint } from './sweep.js'

const interval = ({ low, high }: SweepPoint) => `${low}–${high}`

/** The curve of a metric over the scales, one line per interval; null where there is nothing to draw. */
export function sweepChart({ points, best }: Sweep, metric: GenerationMetric): string | null {
  const measured = points.filter(({ metrics }) => typeof metrics[metric] === 'number')
  if (measured.length === 0) return null
  const scales = new Set(measured.map(({ scale }) => scale))
  const chart = { title: `${metricTitles[metric]} over guidance`, yLabel: metricTitles[metric] }
  const value = ({ metrics }: SweepPoint) => metrics[metric] as number
  if (scales.size === 1) {
    const line = measured.map((point) => ({ x: interval(point), y: value(point) }))
    return lineChart({
      ...chart,
      xLabel: `interval, at scale ${best.scale}`,
      series: [{ name: 'interval', points: line }]
    })
  }
  const series = [...new Set(measured.map(interval))].map((name) => ({
    name: `interval ${name}`,
    points: measured
      .filter((point) => interval(point) === name)
      .sort((a, b) => a.scale - b.scale)
      .map((point) => ({ x: point.scale, y: value(point) }))
  }))
  return lineChart({ ...chart, xLabel: 'guidance scale', series })
}

/** Writes one curve per metric, `fid.svg` and so on. */
export async function writeSweepPlots(folder: string, sweep: Sweep): Promise<void> {
  for (const metric of generationMetrics) {
    const chart = sweepChart(sweep, metric)
    if (chart === null) continue
    await writeText(join(folder, `${metric}.svg`), chart)
  }
}
