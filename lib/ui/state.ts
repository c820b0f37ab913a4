import { stat } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { type GridFile, listGrids, readAnyRun } from '../report/run-folder.js'
import { newestCheckpoint } from '../runs/checkpoint.js'
import type { MetricsRecord } from '../runs/metrics.js'
import type { TrainingControl, TrainingState } from '../training/control.js'

/** What the page shows besides curves. */
export interface RunState {
  name: string
  kind: 'tokenizer' | 'generator' | null
  preset: string | null
  /** `watching`: trained by another process, or not at all. */
  state: TrainingState | 'watching' | 'done'
  /** Whether the buttons work. */
  controls: boolean
  step: number
  steps: number | null
  /** Images or latents per second. */
  rate: number | null
  secondsLeft: number | null
  /** Bytes that this process uses, of the GPU's memory where it computes on one; null for a training in another process. */
  memory: { used: number; total: number; where: 'machine' | 'GPU' } | null
  /** Step of the newest complete checkpoint. */
  checkpoint: number | null
  /** When the log last grew, milliseconds since 1970. */
  changed: number | null
  grids: GridFile[]
}

const findNumber = (line: MetricsRecord | undefined, ...names: string[]): number | null => {
  const values = names.map((name) => line?.[name])
  return values.find((value): value is number => typeof value === 'number') ?? null
}

/** The training in this process. */
export interface OwnTraining {
  control: TrainingControl
  device: string | undefined
}

/**
 * Reads the state of a run.
 * @param last - the newest line of the metrics log
 */
export async function readRunState(
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
  const rate = findNumber(last, 'imagesPerSecond', 'latentsPerSecond')
  const done = steps !== null && saved !== null && saved >= steps
  const state = own?.control.state ?? (done ? 'done' : 'watching')
  const isUnfinished = ['running', 'pausing', 'paused', 'watching'].includes(state)
  const secondsLeft = steps !== null && rate && isUnfinished ? ((steps - step) * batch) / rate : null
  const memory = own && (await readMemory(own.device))
  return {
    name,
    kind: record?.kind ?? null,
    preset,
    state,
    controls: own !== null,
    step,
    steps,
    rate,
    secondsLeft,
    memory,
    checkpoint: saved,
    changed: log?.mtimeMs ?? null,
    grids
  }
}

/** Rounds to 10 MB, so that not every poll gives a new state. */
const rounded = (bytes: number) => Math.round(bytes / 1e7) * 1e7

async function readMemory(device: string | undefined): Promise<RunState['memory']> {
  const gpu = device?.startsWith('cuda') ? await native(addon().deviceMemory(device)) : null
  if (gpu) return { used: rounded(gpu.reserved), total: gpu.total, where: 'GPU' }
  return { used: rounded(process.memoryUsage.rss()), total: totalmem(), where: 'machine' }
}
