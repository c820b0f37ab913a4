/** Reads run folders, of whichever training. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ifPresent } from '../files/stat.js'
import { readKind } from '../runs/record.js'
import { type GeneratorRunRecord, readGeneratorRun } from '../training/generator/record.js'
import { readTokenizerRun, type TokenizerRunRecord } from '../training/tokenizer/record.js'

export type AnyRunRecord = TokenizerRunRecord | GeneratorRunRecord

/**
 * Reads the record of a tokenizer's or a generator's run; null when the folder holds none.
 * @throws {MactokError} ERR_FORMAT for a broken `run.json`
 */
export async function readAnyRun(folder: string): Promise<AnyRunRecord | null> {
  return (await readKind(folder)) === 'generator' ? readGeneratorRun(folder) : readTokenizerRun(folder)
}

export interface GridFile {
  /** File name in the folder `grids`. */
  name: string
  step: number
}

/** The files of a folder; not links, which may lead to files that nobody means to show. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = (await ifPresent(readdir(folder, { withFileTypes: true }))) ?? []
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

/** Lists the grids that training wrote, reconstructions of held-out images or samples, oldest first. */
export async function listGrids(folder: string): Promise<GridFile[]> {
  const files = await listFiles(join(folder, 'grids'))
  return files
    .flatMap((name): GridFile[] => {
      const digits = /^step-(\d+)\.png$/.exec(name)?.[1]
      return digits === undefined ? [] : [{ name, step: Number(digits) }]
    })
    .sort((a, b) => a.step - b.step)
}
