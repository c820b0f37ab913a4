import { stat } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { type GridFile, listGrids, readAnyRun } from '../report/run-folder.js'
import { newestCheckpoint } from '../runs/checkpoint.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { TrainingControl, TrainingState } from '../training/control.js'

/** What the page shows beside curves. */
export interface RunState {
  name: string
  kind: 'tokenizer' | 'generator' | null
  preset: string | null
  /** `watching`: trained by another process, or by none. */
  state: TrainingState | 'watching' | 'done'
  /** Whether the buttons work. */
  controls: boolean
  step: number
  steps: number | null
  /** Images or latents a second. */
  rate: number | null
  secondsLeft: number | null
  /** Bytes that this process takes, of the GPU's where it computes on one; of a training in another process nothing is known. */
  memory: { used: number; total: number; where: 'machine' | 'GPU' } | null
  /** Step of the newest complete one. */
  checkpoint: number | null
  /** When the log last grew, milliseconds since 1970. */
  changed: number | null
  grids: GridFile[]
}

const numberIn = (line: MetricsRecord | undefined, ...names: string[]): number | null => {
  const found = names.map((name) => line?.[name]).find((value) => typeof value === 'number')
  return typeof found === 'number' ? found : null
}

/** The training in this process. */
export interface OwnTraining {
  control: TrainingControl
  device: string | undefined
}

/** @param last - the newest line of the metrics log */
export async function runState(
  run: string,
  name: string,
  last: MetricsRecord | undefined,
  own: OwnTraining | null
): Promise<RunState> {
  const [record, checkpoint, grids, log] = await Promise.all([
    readAnyRun(run),
    newestCheckpoint(run),
    listGrids(run),
    stat(join(run, 'metrics.jsonl')).catch(() => null)
  ])
  const saved = checkpoint?.state.step ?? null
  const step = Math.max(last?.step ?? 0, saved ?? 0)
  const { steps = null, batch = 0, preset = null } = record?.settled ?? {}
  const rate = numberIn(last, 'imagesPerSecond', 'latentsPerSecond')
  const done = steps !== null && saved !== null && saved >= steps
  const state = own?.control.state ?? (done ? 'done' : 'watching')
  const goes = state === 'running' || state === 'pausing' || state === 'paused'
  const left = steps !== null && rate && (goes || state === 'watching') ? ((steps - step) * batch) / rate : null
  const memory = own && (await memoryOf(own.device))
  return {
    ...{ name, kind: record?.kind ?? null, preset, state, controls: own !== null },
    ...{ step, steps, rate, secondsLeft: left, memory },
    ...{ checkpoint: saved, changed: log?.mtimeMs ?? null, grids }
  }
}

/** Rounded to 10 MB, so that a state is not new at every look. */
const rounded = (bytes: number) => Math.round(bytes / 1e7) * 1e7

async function memoryOf(device: string | undefined): Promise<RunState['memory']> {
  const gpu = device?.startsWith('cuda') ? await native(addon().deviceMemory(device)) : null
  if (gpu) return { used: rounded(gpu.reserved), total: gpu.total, where: 'GPU' }
  return { used: rounded(process.memoryUsage.rss()), total: totalmem(), where: 'machine' }
}
