import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { object, pathTo } from '../checks.js'
import { aloneRanks, type Ranks } from '../distributed/ranks.js'
import { MactokError, outOfRange } from '../errors.js'
import { writeAtomically, writeFully, writeJson } from '../files/atomic.js'
import { seal } from '../files/checksums.js'
import { refuseLinks } from '../files/contained.js'
import { makeFolder } from '../files/make-folder.js'
import { exists } from '../files/stat.js'
import {
  isOfPlan,
  type LatentPlan,
  type Manifest,
  manifestFile,
  type PlanSummary,
  readManifest,
  requireExtended,
  requireSamePlan,
  type ShardRecord,
  shardName,
  statisticsFile,
  summarise,
  torchStatisticsFile,
  validatePlan,
  writeManifest
} from './manifest.js'
import { digestPlan, type ReadRecord, readRecords, recordNames, removeRecords, writeRecord } from './records.js'
import { type ShardRange, ShardWriter } from './shard-writer.js'
import type { LatentStatisticsFile } from './statistics.js'
import { checkSummary, mergeStatistics, type ShardProblem } from './summary.js'
import { checkShard, type ShardCheck } from './verify.js'

/**
 * The record of a finished shard, with the state of its images' files as it is now; null when the images are no longer
 * those that were encoded.
 */
export type CheckInputs = (record: ShardRecord) => Promise<ShardRecord | null>

export interface LatentWriterOptions extends ShardCheck {
  /** Decides whether a finished shard is current. Default: all are. */
  check?: CheckInputs | undefined
  /** Which of the processes that write the folder together this one is: it writes shard k if k modulo their number is its rank. */
  ranks?: Ranks | undefined
  /** Accepts a folder whose listing is the beginning of the plan's. Default false. */
  append?: boolean | undefined
}

/** What a folder holds at the end. */
export interface FinishedLatents {
  statistics: LatentStatisticsFile
  manifest: Manifest
}

/** Temporary files of the manifest and of statistics that no process can be writing any more, in milliseconds. */
const leftoverAge = 600_000

/** Removes what killed processes left half written: this rank's shards, and what every rank writes once it is old. */
async function removeLeftovers(folder: string, files: readonly string[], { rank, worldSize }: Ranks): Promise<void> {
  const isOwn = (file: string) => {
    const index = /^\.latents_rank00_shard(\d+)\..*\.tmp$/.exec(file)?.[1]
    return index !== undefined && Number(index) % worldSize === rank
  }
  for (const file of files) {
    const place = path.join(folder, file)
    const isShared = /^\.(manifest\.json|latents_stats\.).*\.tmp$/.test(file)
    const isOld = async () => worldSize === 1 || Date.now() - (await stat(place)).mtimeMs > leftoverAge
    if (isOwn(file) || (isShared && rank === 0 && (await isOld().catch(() => false)))) await rm(place, { force: true })
  }
}

/**
 * Writes a folder of latent shards, alone or together with other processes that share the folder and nothing else. After an
 * interruption at any point, other writers with the same plan resume it, however many they are.
 *
 * Each finished shard has a record of its own, until the process that finds all of them merges them into the manifest. Merging
 * twice gives the same files, so that no process has to wait for another.
 */
export class LatentWriter {
  /** Of this rank's shards; undefined for those that must be written. */
  private readonly records = new Map<number, ShardRecord>()
  /** Why this rank's shards are not intact. */
  readonly problems: ShardProblem[] = []

  private constructor(
    readonly folder: string,
    private readonly plan: LatentPlan,
    private readonly digest: string,
    private readonly ranks: Ranks
  ) {}

  static async open(folder: string, plan: LatentPlan, options: LatentWriterOptions = {}): Promise<LatentWriter> {
    object('options', 'an object', options)
    const { ranks = aloneRanks, append = false } = options
    validatePlan(plan)
    await makeFolder(folder)
    await refuseLinks(folder)
    const files = await readdir(folder)
    await removeLeftovers(folder, files, ranks)
    const summary = summarise(plan)
    await prepareManifest(folder, files, plan, summary, append)
    const writer = new LatentWriter(folder, plan, digestPlan(summary), ranks)
    await writer.examine(options, true)
    return writer
  }

  /**
   * Compares this rank's shards with their records, without changing anything.
   * @returns what is wrong, in order; nothing for a complete folder
   * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of another plan, or none
   */
  static async verify(folder: string, plan: LatentPlan, options: LatentWriterOptions = {}): Promise<ShardProblem[]> {
    const { ranks = aloneRanks } = options
    validatePlan(plan)
    const manifest = await readManifest(folder)
    if (!manifest) throw new MactokError('ERR_FORMAT', `${folder} has no ${manifestFile}: nothing was encoded there`)
    const summary = summarise(plan)
    requireSamePlan(folder, manifest.plan, summary)
    const writer = new LatentWriter(folder, plan, digestPlan(summary), ranks)
    await writer.examine(options, false)
    if (ranks.rank === 0) writer.problems.push(...(await checkSummary(folder, plan, manifest)))
    return writer.problems
  }

  /** Finds the shards of this rank that are intact. With `repair`, what is not is marked as missing. */
  private async examine({ check, values }: LatentWriterOptions, repair: boolean): Promise<void> {
    const known = await this.readAll()
    for (const { index } of this.ranges()) {
      const record = known.get(index)?.record ?? null
      const problem = record ? await checkShard(this.folder, record, this.plan, { values }) : 'it is missing'
      const current = record && !problem && check ? await check(record) : record
      if (!problem && current) {
        this.records.set(index, current)
        if (repair && current !== record) await this.record(index, current)
        continue
      }
      this.problems.push({ file: shardName(index), reason: problem ?? 'its images were changed' })
      if (repair && record) await this.record(index, null)
    }
  }

  /** The records of all shards, by index: null for one that is being written again. */
  private async readAll(): Promise<Map<number, ReadRecord>> {
    // Records first: they are removed only when the manifest has them.
    const records = await readRecords(this.folder, this.digest)
    const manifest = await readManifest(this.folder)
    const all = new Map<number, ReadRecord>()
    for (const record of manifest?.shards ?? []) {
      if (isOfPlan(record, this.plan)) all.set(record.first / this.plan.shardSize, { record })
    }
    for (const [index, read] of records) {
      const isValid = read.record && isOfPlan(read.record, this.plan) && read.record.file === shardName(index)
      all.set(index, isValid ? read : { ...read, record: null })
    }
    return all
  }

  private record(index: number, record: ShardRecord | null): Promise<void> {
    return writeRecord(this.folder, this.digest, index, record)
  }

  /** The number of shards of all ranks. */
  get shardCount(): number {
    return Math.ceil(this.plan.names.length / this.plan.shardSize)
  }

  /** This rank's shards. */
  private ranges(): ShardRange[] {
    const { names, shardSize } = this.plan
    const { rank, worldSize } = this.ranks
    const own: ShardRange[] = []
    for (let index = rank; index < this.shardCount; index += worldSize) {
      const first = index * shardSize
      own.push({ index, first, end: Math.min(first + shardSize, names.length) })
    }
    return own
  }

  /** This rank's images. */
  get imageCount(): number {
    return this.ranges().reduce((sum, { first, end }) => sum + end - first, 0)
  }

  /** This rank's shards that are missing or whose files do not match their checksums, in order. */
  missingShards(): ShardRange[] {
    return this.ranges().filter(({ index }) => !this.records.has(index))
  }

  /** This rank's shards that are complete, in order. */
  finishedShards(): ShardRecord[] {
    return this.ranges().flatMap(({ index }) => this.records.get(index) ?? [])
  }

  /** Starts a shard, one of `missingShards()`. */
  startShard(range: ShardRange): ShardWriter {
    return new ShardWriter(range, this.folder, this.plan, async (record) => {
      await this.record(range.index, record)
      this.records.set(range.index, record)
    })
  }

  /**
   * Writes statistics (`latents_stats.json`, and `latents_stats.pt` for LightningDiT) and the final manifest.
   * @throws {RangeError} while shards are missing
   * @throws {MactokError} `ERR_FORMAT` when every sample was skipped
   */
  async finish(): Promise<FinishedLatents> {
    const finished = await this.merge()
    if (typeof finished === 'number') throw outOfRange('shards', 'all shards written', `${finished} missing`)
    return finished
  }

  /** As `finish`, unless shards are missing: those of other ranks, which finish the folder when they are the last. Then their number. */
  async merge(): Promise<FinishedLatents | number> {
    const { shardCount, folder, plan } = this
    const missing = await this.countMissing()
    if (missing > 0) return missing
    const known = await this.readAll()
    const shards = Array.from({ length: shardCount }, (_, index) => known.get(index)?.record)
    const written = shards.filter((record) => record != null)
    if (written.length < shardCount) return shardCount - written.length
    const { statistics, torch } = mergeStatistics(written, plan.shape)
    if (statistics.count === 0) throw new MactokError('ERR_FORMAT', `${folder} has no samples: all were skipped`)
    await writeJson(path.join(folder, statisticsFile), seal(statisticsFile, statistics, {}))
    await writeAtomically(path.join(folder, torchStatisticsFile), (handle) => writeFully(handle, torch))
    const manifest = createManifest(plan, written)
    await writeManifest(folder, manifest)
    await this.requireFiles(written)
    await removeRecords(known.values())
    return { statistics, manifest }
  }

  /** A folder that was removed or moved is created again by what is written next, and would then lack the rest. */
  private async requireFiles(shards: readonly ShardRecord[]): Promise<void> {
    for (const file of [...shards.map(({ file }) => file), statisticsFile, torchStatisticsFile]) {
      if (await exists(path.join(this.folder, file))) continue
      const problem = `${this.folder} was removed or moved while it was written: it has no ${file}`
      throw new MactokError('ERR_FORMAT', `${problem}; the same command again writes what is missing`)
    }
  }

  /** How many shards have neither a record nor a place in the manifest, without reading the records. */
  private async countMissing(): Promise<number> {
    const found = new Set(await recordNames(this.folder))
    for (const record of (await readManifest(this.folder))?.shards ?? []) {
      if (isOfPlan(record, this.plan)) found.add(record.file)
    }
    return Array.from({ length: this.shardCount }, (_, index) => index).filter((index) => !found.has(shardName(index)))
      .length
  }
}

/** A manifest of all shards, or, before they are written, of those that are known already. */
function createManifest(plan: LatentPlan, shards: ShardRecord[], complete = true): Manifest {
  return {
    format_version: 1,
    complete,
    count: shards.reduce((sum, { count }) => sum + count, 0),
    plan: summarise(plan),
    classes: plan.classes ? [...plan.classes] : null,
    shards
  }
}

/**
 * Makes sure that the folder's manifest is of the plan; writes one without shards where there is none. Processes that do so at once
 * write the same bytes.
 */
async function prepareManifest(
  folder: string,
  files: readonly string[],
  plan: LatentPlan,
  summary: PlanSummary,
  append: boolean
): Promise<void> {
  const manifest = await readManifest(folder)
  const start = (shards: ShardRecord[]) => writeManifest(folder, createManifest(plan, shards, false))
  if (!manifest) {
    const foreign = files.find((file) => file.endsWith('.safetensors'))
    if (foreign) {
      throw new MactokError('ERR_FORMAT', `${folder} has ${foreign}, which readers would mistake for one of its shards`)
    }
    return start([])
  }
  if (!append || JSON.stringify(manifest.plan) === JSON.stringify(summary)) {
    requireSamePlan(folder, manifest.plan, summary, plan)
    return
  }
  requireExtended(folder, manifest, plan)
  if (!manifest.complete || (await recordNames(folder)).length > 0) {
    throw new MactokError(
      'ERR_FORMAT',
      `${folder} is incomplete: finish it with the images that it was begun with, then append`
    )
  }
  return start(manifest.shards.filter((record) => isOfPlan(record, plan)))
}

/**
 * Opens a folder for writing or to resume writing: finished shards are kept when their checksums match and their
 * images are current.
 * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of another plan, naming the differences
 */
export async function openLatentWriter(
  folder: string,
  plan: LatentPlan,
  options: LatentWriterOptions = {}
): Promise<LatentWriter> {
  pathTo('folder', folder)
  return LatentWriter.open(folder, plan, options)
}
