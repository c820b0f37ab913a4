/** Samples that several processes draw together: a file for each batch, in a folder that they share. */

import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { isRecord } from '../checks.js'
import type { Ranks } from '../distributed/ranks.js'
import { MactokError } from '../errors.js'
import { writeAtomically, writeFully, writeJson } from '../files/atomic.js'
import { parseJson, readBytes, readText } from '../files/read.js'
import { discardFolder, removeDiscarded } from '../files/remove-folder.js'
import { ifPresent } from '../files/stat.js'

const planFile = 'plan.json'
const hashBytes = 32

/** Which samples; equal plans give equal parts. */
export interface SamplePlan {
  /** Identifies models and settings. */
  key: string
  total: number
  /** Samples per part. */
  batch: number
  /** Side of the images. */
  size: number
}

export interface SampledPart {
  /** uint8 [n, size, size, 3] */
  images: Uint8Array
  /** [n] */
  labels: Int32Array
}

/** Part b has the samples [b · batch, (b + 1) · batch), drawn as one batch, and belongs to rank b modulo the number of ranks. */
export class SampleParts {
  private constructor(
    readonly folder: string,
    readonly plan: SamplePlan,
    private readonly ranks: Ranks
  ) {}

  /** @throws {MactokError} `ERR_FORMAT` when the folder has parts of other samples */
  static async open(folder: string, plan: SamplePlan, ranks: Ranks): Promise<SampleParts> {
    await SampleParts.removeRemains(folder)
    const file = path.join(folder, planFile)
    const text = await readText(file)
    const earlier = text === null ? null : parseJson(text, file)
    if (isRecord(earlier) && JSON.stringify(earlier) !== JSON.stringify(plan)) {
      throw new MactokError(
        'ERR_FORMAT',
        `${folder} has parts of other samples (another model, seed, number or settings): remove it to draw these`
      )
    }
    return new SampleParts(folder, plan, ranks)
  }

  private get count(): number {
    return Math.ceil(this.plan.total / this.plan.batch)
  }

  private static nameOf(part: number): string {
    return `part-${String(part).padStart(6, '0')}.bin`
  }

  private async missing(): Promise<number[]> {
    const files = new Set((await ifPresent(readdir(this.folder))) ?? [])
    return Array.from({ length: this.count }, (_, part) => part).filter((part) => !files.has(SampleParts.nameOf(part)))
  }

  /** The number of samples in a part, and of the first one. */
  rangeOf(part: number): { first: number; count: number } {
    const { batch, total } = this.plan
    return { first: part * batch, count: Math.min(batch, total - part * batch) }
  }

  /** This rank's parts. */
  own(): number[] {
    const { rank, worldSize } = this.ranks
    return Array.from({ length: this.count }, (_, part) => part).filter((part) => part % worldSize === rank)
  }

  /** Those of them that are still to be drawn. */
  async ownMissing(): Promise<number[]> {
    const missing = new Set(await this.missing())
    return this.own().filter((part) => missing.has(part))
  }

  /** The number of parts of all ranks that are missing. */
  async countMissing(): Promise<number> {
    return (await this.missing()).length
  }

  async write(part: number, { images, labels }: SampledPart): Promise<void> {
    // Every rank writes the same plan.
    await writeJson(path.join(this.folder, planFile), this.plan)
    const numbers = Buffer.alloc(4 * labels.length)
    for (const [i, label] of labels.entries()) numbers.writeInt32LE(label, 4 * i)
    const hash = createHash('sha256').update(images).update(numbers).digest()
    const write = async (handle: Parameters<typeof writeFully>[0]) => {
      for (const bytes of [images, numbers, hash]) await writeFully(handle, bytes)
    }
    await writeAtomically(path.join(this.folder, SampleParts.nameOf(part)), write, { durable: false })
  }

  /** @throws {MactokError} `ERR_FORMAT` for a damaged part, which is removed so that the next run draws it again */
  async read(part: number): Promise<SampledPart> {
    const file = path.join(this.folder, SampleParts.nameOf(part))
    const bytes = await readBytes(file)
    const { count } = this.rangeOf(part)
    const pixels = count * this.plan.size ** 2 * 3
    const content = bytes.subarray(0, pixels + 4 * count)
    const hash = createHash('sha256').update(content).digest()
    if (bytes.length !== content.length + hashBytes || !hash.equals(bytes.subarray(content.length))) {
      await rm(file, { force: true })
      throw new MactokError('ERR_FORMAT', `${file} was damaged and is removed: run the same command again`)
    }
    const labels = Int32Array.from({ length: count }, (_, i) => content.readInt32LE(pixels + 4 * i))
    return { images: content.subarray(0, pixels), labels }
  }

  /** Deletes the parts, which go all at once for ranks that still read them. */
  async remove(): Promise<void> {
    await discardFolder(this.folder)
    await SampleParts.removeRemains(this.folder)
  }

  /** Deletes what a crash left of parts that were being deleted. */
  private static removeRemains(folder: string): Promise<void> {
    return removeDiscarded(path.dirname(folder), (name) => name === path.basename(folder))
  }

  /**
   * Runs the work on all parts, and removes them. Ranks that end at the same time may both do it.
   * @returns null when another rank has done it and removed them meanwhile
   */
  async merge<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      const result = await work()
      await this.remove()
      return result
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (isGone && (await this.countMissing()) === this.count) return null
      throw error
    }
  }
}
