/** What is measured of finished runs, and the columns that show it. */

import { isRecord } from '../checks.js'
import {
  type GenerationMetric,
  generationMetrics,
  metricTitles,
  reconstructionMetrics
} from '../evaluation/metric-names.js'
import { probe } from '../evaluation/probe.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { Evaluation } from '../training/tokenizer/data.js'
import { measureGeneration } from './generation.js'
import type { Measurement } from './measurement.js'

export const measurements: readonly Measurement[] = [
  async ({ tokenizer, data }) => {
    const result = (await data.evaluate(tokenizer.native, 'fp32', null)) as Evaluation
    // The latter where `settings.evaluation.metrics` requests them.
    const posterior = ['kl', 'activeUnits', 'activeTokens', 'informativeTokens', 'mutualInformation'] as const
    const names = ['psnr', ...posterior, ...reconstructionMetrics] as const
    const values = names.map((name) => [name, result[name]] as const)
    return Object.fromEntries(
      values.filter((entry): entry is [(typeof names)[number], number] => entry[1] !== undefined)
    )
  },
  async ({ tokenizer, source, heldOut, onBroken, config }): Promise<Record<string, number>> => {
    if (!config.probe) return {}
    const { features, images, l2, sample } = config.probe
    const result = await probe(tokenizer, source, { features, images, l2, sample, validation: heldOut, onBroken })
    return { probe: result.validationAccuracy }
  },
  measureGeneration
]

/** A column of the table and a plot. */
export interface Column {
  name: string
  label: string
  /** Formats a value for the table. */
  show: (value: number) => string
  /** Label of the plot's y axis. */
  unit: string
  /** Factor from the value to `unit`. */
  scale: number
  /** Logarithmic y axis. */
  log?: boolean
  /** Label of the plot's x axis, if not the row's steps. */
  steps?: string
}

const fixed = (digits: number) => (value: number) => value.toFixed(digits)
const percent = (value: number) => (value * 100).toFixed(1)

const digits = { fid: 2, sfid: 2, is: 2, precision: 3, recall: 3, kid: 5, fdDinov2: 1, kdDinov2: 4 }

/** The column of a metric that compares distributions, of reconstructions (r) or of samples (g). */
const compared = (prefix: 'r' | 'g', name: GenerationMetric): Column => ({
  name: `${prefix}${name}`,
  label: `${prefix}${metricTitles[name]}`,
  show: fixed(digits[name]),
  unit: `${prefix}${metricTitles[name]}`,
  scale: 1
})

export const columns: readonly Column[] = [
  { name: 'kl', label: 'KL (nats)', show: (value) => value.toPrecision(3), unit: 'nats', scale: 1, log: true },
  { name: 'activeUnits', label: 'active units (%)', show: percent, unit: '%', scale: 100 },
  { name: 'activeTokens', label: 'active tokens (%)', show: percent, unit: '%', scale: 100 },
  { name: 'informativeTokens', label: 'informative tokens (%)', show: percent, unit: '%', scale: 100 },
  {
    name: 'mutualInformation',
    label: 'mutual information (nats)',
    show: fixed(2),
    unit: 'nats',
    scale: 1
  },
  { name: 'psnr', label: 'PSNR (dB)', show: fixed(2), unit: 'dB', scale: 1 },
  { name: 'samplePsnr', label: 'PSNR of samples (dB)', show: fixed(2), unit: 'dB', scale: 1 },
  { name: 'ssim', label: 'SSIM', show: fixed(3), unit: 'SSIM', scale: 1 },
  { name: 'lpips', label: 'LPIPS', show: fixed(3), unit: 'LPIPS', scale: 1 },
  ...(['fid', 'kid', 'fdDinov2', 'kdDinov2'] as const).map((name) => compared('r', name)),
  { name: 'probe', label: 'linear probe (%)', show: percent, unit: '%', scale: 100 },
  ...generationMetrics.map((name) => ({ ...compared('g', name), steps: 'step of the generator' }))
]

/** The value of a column in a line of the metrics log, if it was evaluated there. */
export function valueInLog(line: MetricsRecord, { name }: Column): number | undefined {
  const group = line.evaluation
  return isRecord(group) ? group[name] : undefined
}

/** Whether the posterior collapsed: fewer than 5 % of units are active, and images come out as their mean. */
export const isCollapsed = ({ activeUnits, psnr }: Record<string, number>, meanImage: number): boolean =>
  activeUnits !== undefined && psnr !== undefined && activeUnits < 0.05 && psnr - meanImage <= 0.3
