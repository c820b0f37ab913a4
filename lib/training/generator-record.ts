import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MactokError, outOfRange } from '../errors.js'
import { writeJson } from '../weights/atomic.js'
import type { GeneratorSettled } from './generator-run.js'
import type { GeneratorTrainingConfig } from './generator-schema.js'

const fileName = 'run.json'

/** What `run.json` of a generator run holds. */
export interface GeneratorRunRecord {
  formatVersion: 1
  kind: 'generator'
  config: GeneratorTrainingConfig
  settled: GeneratorSettled
  /** Where the latents came from, how many, and whose. */
  data: { from: string; latents: number; tokenizer: string | null; tokenizerFrom: string | null }
  versions: Record<string, string>
}

/**
 * A run folder's record, or null when the folder holds no run.
 * @throws {RangeError} another kind of run
 * @throws {MactokError} `ERR_FORMAT` for a broken `run.json`
 */
export async function readGeneratorRun(dir: string): Promise<GeneratorRunRecord | null> {
  const path = join(dir, fileName)
  let record: GeneratorRunRecord
  try {
    record = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new MactokError('ERR_FORMAT', `${path} cannot be read as JSON`, { cause })
  }
  if (record.kind !== 'generator') throw outOfRange('dir', "a generator's run", `one of a ${record.kind}`)
  return record
}

export const writeGeneratorRun = (dir: string, record: GeneratorRunRecord): Promise<void> =>
  writeJson(join(dir, fileName), record)
