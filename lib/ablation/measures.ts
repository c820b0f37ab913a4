/** What is measured of finished rows, and what is drawn over their steps. A metric that joins needs nothing but its place here. */

import type { ImageSource } from '../data/image-set.js'
import { probe } from '../evaluation/probe.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import type { TrainingData } from '../training/tokenizer/data.js'
import { generationFid } from './generation.js'
import type { AblationConfig } from './schema.js'

/** A finished row, with its averaged weights. */
export interface Finished {
  dir: string
  /** Of the whole ablation. */
  out: string
  device: string | undefined
  signal: AbortSignal | undefined
  seed: number
  tokenizer: Tokenizer
  data: TrainingData
  source: ImageSource
  heldOut: ImageSource
  config: AblationConfig
}

/** Numbers of a finished row by name. @throws {MactokError} ERR_ABORTED when `signal` aborts; the same call goes on */
export type Measurement = (finished: Finished) => Promise<Record<string, number>>

export const measurements: readonly Measurement[] = [
  async ({ tokenizer, data }) => {
    // SSIM, LPIPS and rFID where `settings.evaluation.metrics` asks for them.
    const { psnr, kl, activeUnits, ssim, lpips, rfid } = await data.evaluate(tokenizer.native, 'fp32')
    const values = Object.entries({ psnr, kl, activeUnits, ssim, lpips, rfid })
    return Object.fromEntries(values.filter((entry): entry is [string, number] => entry[1] !== undefined))
  },
  async ({ tokenizer, source, heldOut, config }): Promise<Record<string, number>> => {
    if (!config.probe) return {}
    const { features, images, l2, sample } = config.probe
    const result = await probe(tokenizer, source, { features, images, l2, sample, validation: heldOut })
    return { probe: result.validationAccuracy }
  },
  generationFid
]

/** A column of the table and a plot. */
export interface Column {
  name: string
  label: string
  /** As it stands in the table. */
  show: (value: number) => string
  /** As it is drawn, and on which axis. */
  unit: string
  scale: number
  log?: boolean
  /** Whose steps it is drawn over, if not the row's. */
  steps?: string
}

const fixed = (digits: number) => (value: number) => value.toFixed(digits)
const percent = (value: number) => (value * 100).toFixed(1)

export const columns: readonly Column[] = [
  { name: 'kl', label: 'KL (nats)', show: (value) => value.toPrecision(3), unit: 'nats', scale: 1, log: true },
  { name: 'activeUnits', label: 'active units (%)', show: percent, unit: '%', scale: 100 },
  { name: 'psnr', label: 'PSNR (dB)', show: fixed(2), unit: 'dB', scale: 1 },
  { name: 'ssim', label: 'SSIM', show: fixed(3), unit: 'SSIM', scale: 1 },
  { name: 'lpips', label: 'LPIPS', show: fixed(3), unit: 'LPIPS', scale: 1 },
  { name: 'rfid', label: 'rFID', show: fixed(2), unit: 'rFID', scale: 1 },
  { name: 'probe', label: 'linear probe (%)', show: percent, unit: '%', scale: 100 },
  { name: 'gfid', label: 'gFID', show: fixed(2), unit: 'gFID', scale: 1, steps: 'step of the generator' }
]

/** A column's value at an evaluation during training. */
export function duringTraining(line: MetricsRecord, { name }: Column): number | undefined {
  const group = line.evaluation
  return typeof group === 'object' ? group[name] : undefined
}

/** Less than one unit in twenty says anything, and images come out as their mean. */
export const collapsed = ({ activeUnits, psnr }: Record<string, number>, meanImage: number): boolean =>
  activeUnits !== undefined && psnr !== undefined && activeUnits < 0.05 && psnr - meanImage <= 0.3
