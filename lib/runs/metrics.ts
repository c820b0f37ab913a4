import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { AppendedFile } from '../files/appended-file.js'
import { parseJson, readText } from '../files/read.js'
import { isAbsence } from '../files/stat.js'
import { EventFile } from './tensorboard.js'

/** One line of `metrics.jsonl`: numbers by name, in groups such as `loss` or `evaluation`. */
export type MetricsRecord = { step: number } & { [name: string]: number | Record<string, number> }

const fileName = 'metrics.jsonl'

const isMetricsRecord = (value: unknown): value is MetricsRecord => isRecord(value) && Number.isInteger(value.step)

/** Parses a line of the log; null for one that a crash cut short, or that is no record. */
export function parseLine(line: string): MetricsRecord | null {
  try {
    const record = parseJson(line, fileName)
    return isMetricsRecord(record) ? record : null
  } catch {
    return null
  }
}

/**
 * Reads a JSON file with a list of such lines; empty where there is none.
 * @throws {MactokError} `ERR_FORMAT` when it holds anything else
 */
export async function readMetricsList(file: string): Promise<MetricsRecord[]> {
  const text = await readText(file)
  const lines = text === null ? [] : parseJson(text, file)
  if (Array.isArray(lines) && lines.every(isMetricsRecord)) return lines
  throw new MactokError('ERR_FORMAT', `${file} is no list of metrics`)
}

/** Reads the lines of a run folder's metrics log; what is no record is skipped. */
export function readMetrics(folder: string): MetricsRecord[] {
  return readLines(join(folder, fileName))
    .map(parseLine)
    .filter((line) => line !== null)
}

function readLines(file: string): string[] {
  try {
    // Reading a named pipe would wait for its writer.
    return statSync(file).isFile() ? readFileSync(file, 'utf8').split('\n') : []
  } catch (error) {
    if (isAbsence(error)) return []
    throw error
  }
}

/** `{ loss: { kl: 1 } }` as `{ 'loss/kl': 1 }` */
function flatten(record: MetricsRecord): Record<string, number> {
  const entries = Object.entries(record).flatMap(([name, value]): [string, number][] =>
    typeof value === 'number'
      ? [[name, value]]
      : Object.entries(value).map(([part, number]): [string, number] => [`${name}/${part}`, number])
  )
  return Object.fromEntries(entries.filter(([name]) => name !== 'step'))
}

/** Appends to `metrics.jsonl` and to a TensorBoard event file beside it. */
export class MetricsLog {
  readonly #lines: AppendedFile
  readonly #events: EventFile

  /** @param step - the step that the run resumes from: later lines are removed, because they will be written again */
  constructor(folder: string, step: number) {
    const path = join(folder, fileName)
    const kept = readMetrics(folder).filter((record) => record.step <= step)
    rmSync(`${path}.tmp`, { force: true })
    // Created here, so that a prepared link is never followed.
    const file = openSync(`${path}.tmp`, 'wx')
    try {
      writeFileSync(file, kept.map((record) => `${JSON.stringify(record)}\n`).join(''))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(`${path}.tmp`, path)
    this.#lines = new AppendedFile(path)
    this.#events = new EventFile(folder, step)
  }

  write(record: MetricsRecord): void {
    this.#lines.append(`${JSON.stringify(record)}\n`)
    this.#events.scalars(record.step, flatten(record))
  }

  close(): void {
    this.#lines.close()
    this.#events.close()
  }
}
