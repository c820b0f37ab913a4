import type { MetricsRecord } from '../runs/metrics.js'
import { countNonFinite, isNonFinite } from './divergence.js'
import type { Metrics } from './loop.js'

/** Groups of a line of the metrics log: for each the native metrics that belong to it, and their names there. */
export type MetricGroups = Record<string, Record<string, string>>

/** Sorts native metrics into those groups that have any; `nonFinite` counts what was not finite. */
export function groupMetrics({ steps: _, ...metrics }: Metrics, groups: MetricGroups): Omit<MetricsRecord, 'step'> {
  const line: Record<string, number | Record<string, number>> = {}
  for (const [group, names] of Object.entries(groups)) {
    const members = Object.entries(names).flatMap(([metric, name]) =>
      metrics[metric] === undefined ? [] : [[name, metrics[metric]] as const]
    )
    if (members.length > 0) line[group] = Object.fromEntries(members)
  }
  const broken = countNonFinite(metrics)
  if (Object.keys(broken).length > 0) line.nonFinite = broken
  const isGrouped = (name: string) => Object.values(groups).some((names) => name in names)
  for (const [name, value] of Object.entries(metrics)) {
    if (!isGrouped(name) && !isNonFinite(name)) line[name] = value
  }
  return line
}
