import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { pathTo } from '../checks.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { writeAtomically, writeFully, writeJson } from '../files/atomic.js'
import { seal } from '../files/checksums.js'
import { makeFolder } from '../files/make-folder.js'
import { sha256 } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { fromFloat32, toFloat32 } from '../weights/dtype.js'
import { type TensorData, writeSafetensors } from '../weights/writer.js'
import {
  isOfPlan,
  type LatentPlan,
  type Manifest,
  manifestFile,
  readManifest,
  requireSamePlan,
  type ShardRecord,
  shardName,
  statisticsFile,
  summarise,
  torchStatisticsFile,
  validatePlan
} from './manifest.js'
import { ChannelAccumulator, type LatentStatisticsFile } from './statistics.js'
import { torchFile } from './torch-file.js'

/** A shard and its samples [first, end) of the listing. */
export interface ShardRange {
  index: number
  first: number
  end: number
}

/** Encoded samples; every array is row-major [b, L, Z]. */
export interface LatentBatch {
  /** Positions in the listing, ascending. */
  indices: readonly number[]
  /** Posterior means (or samples, for shards without moments). */
  latents: Float32Array
  /** The latents of the mirrored images, unless the plan is without `flips`. */
  latentsFlip?: Float32Array
  /** Log-variances, with `moments` only. */
  logvar?: Float32Array
  logvarFlip?: Float32Array
  /** SHA-256 of the images' files, for the manifest. */
  hashes?: readonly string[]
}

type Field = 'latents' | 'latentsFlip' | 'logvar' | 'logvarFlip'

/** Names of the tensors in a shard. The first two are LightningDiT's, which ignores the others. */
const tensorNames: Record<Field, string> = {
  latents: 'latents',
  latentsFlip: 'latents_flip',
  logvar: 'latents_logvar',
  logvarFlip: 'latents_flip_logvar'
}

/** The tensors in a plan's shards, besides the labels. */
function fieldsOf({ flips = true, moments }: LatentPlan): Field[] {
  const fields: Field[] = ['latents']
  if (flips) fields.push('latentsFlip')
  if (moments) fields.push('logvar')
  if (flips && moments) fields.push('logvarFlip')
  return fields
}

/** Fills one shard. Samples are added in the listing's order; one that is missing must be skipped before those after it. */
export class ShardWriter {
  private readonly chunks: Record<Field, Uint8Array[]> = { latents: [], latentsFlip: [], logvar: [], logvarFlip: [] }
  private readonly rows: number[] = []
  private readonly hashes: string[] = []
  private readonly reasons = new Map<number, string>()
  private readonly sums: ChannelAccumulator
  private next: number

  constructor(
    readonly range: ShardRange,
    private readonly folder: string,
    private readonly plan: LatentPlan,
    private readonly onCommit: (record: ShardRecord) => Promise<void>
  ) {
    this.sums = new ChannelAccumulator(plan.shape)
    this.next = range.first
  }

  private advance(index: number): void {
    this.passSkipped()
    if (index !== this.next || index >= this.range.end) {
      throw outOfRange('indices', `sample ${this.next} next, before ${this.range.end}`, index)
    }
    this.next++
  }

  private passSkipped(): void {
    while (this.reasons.has(this.next)) this.next++
  }

  /** Adds encoded samples; the values are copied. */
  add(batch: LatentBatch): void {
    const { shape, dtype } = this.plan
    const size = shape[0] * shape[1]
    const fields = fieldsOf(this.plan)
    const stored = fields.map((field) => {
      const values = batch[field]
      if (!values) throw invalidParameter(field, 'Float32Array', values)
      if (values.length !== batch.indices.length * size) {
        throw outOfRange(field, `${batch.indices.length} × ${shape.join(' × ')} values`, values.length)
      }
      return { field, bytes: fromFloat32(values, dtype).slice() }
    })
    if (batch.hashes && batch.hashes.length !== batch.indices.length) {
      throw outOfRange('hashes', `${batch.indices.length} hashes`, batch.hashes.length)
    }
    for (const index of batch.indices) this.advance(index)
    this.rows.push(...batch.indices)
    this.hashes.push(...(batch.hashes ?? []))
    for (const { field, bytes } of stored) this.chunks[field].push(bytes)

    // Readers will see the rounded values, so the statistics are theirs.
    const rounded = new Map(stored.map(({ field, bytes }) => [field, toFloat32(bytes, dtype)]))
    for (let start = 0; start < batch.indices.length * size; start += size) {
      const row = (field: Field) => rounded.get(field)?.subarray(start, start + size)
      this.sums.add(row('latents') as Float32Array, row('logvar'))
      const flip = row('latentsFlip')
      if (flip) this.sums.add(flip, row('logvarFlip'))
    }
  }

  /** Skips a sample that is still to come; the manifest records the reason. */
  skip(index: number, reason: string): void {
    if (!Number.isInteger(index) || index < this.next || index >= this.range.end || this.reasons.has(index)) {
      throw outOfRange('index', `a sample to come, from ${this.next} and before ${this.range.end}`, index)
    }
    this.reasons.set(index, reason)
  }

  /**
   * Writes the shard and records it in the manifest.
   * @param inputs - the state of its images' files, for the manifest
   */
  async commit(inputs?: string): Promise<ShardRecord> {
    const { plan, range, rows } = this
    this.passSkipped()
    if (this.next !== range.end) throw outOfRange('shard', `all samples up to ${range.end}`, this.next)
    if (this.hashes.length !== 0 && this.hashes.length !== rows.length) {
      throw outOfRange('hashes', 'hashes for all samples or none', this.hashes.length)
    }
    const file = shardName(range.index)
    const { shape, dtype, labels } = plan
    const tensor = (field: Field): TensorData => ({
      name: tensorNames[field],
      dtype,
      shape: [rows.length, ...shape],
      data: () => this.chunks[field]
    })
    const labelData = BigInt64Array.from(rows, (row) => BigInt(labels[row] as number))
    const place = path.join(this.folder, file)
    await writeSafetensors(
      place,
      [...fieldsOf(plan).map(tensor), { name: 'labels', dtype: 'int64', shape: [rows.length], data: labelData }],
      {
        total_size: `${rows.length}`,
        dtype: `torch.${dtype}`,
        device: 'cpu',
        format_version: '1',
        tokenizer: plan.tokenizer,
        moments: `${plan.moments}`
      }
    )
    const record: ShardRecord = {
      file,
      first: range.first,
      end: range.end,
      count: rows.length,
      bytes: (await fileSize(place)) ?? 0,
      sha256: await sha256(place),
      names: rows.map((row) => plan.names[row] as string),
      ...(this.hashes.length > 0 ? { hashes: this.hashes } : {}),
      ...(inputs === undefined ? {} : { inputs }),
      skipped: Array.from(this.reasons, ([index, reason]) => ({ name: plan.names[index] as string, reason })),
      sums: this.sums.sums()
    }
    await this.onCommit(record)
    return record
  }
}

/**
 * The record of a finished shard, with the state of its images' files as it is now; null when the images are no longer
 * those that were encoded.
 */
export type CheckInputs = (record: ShardRecord) => Promise<ShardRecord | null>

/**
 * Writes a folder of latent shards. After an interruption at any point, another writer with the same plan resumes it.
 */
export class LatentWriter {
  private readonly records: (ShardRecord | undefined)[]

  private constructor(
    readonly folder: string,
    private readonly plan: LatentPlan,
    earlier: readonly ShardRecord[]
  ) {
    this.records = Array.from({ length: Math.ceil(plan.names.length / plan.shardSize) })
    for (const record of earlier) this.records[record.first / plan.shardSize] = record
  }

  static async open(folder: string, plan: LatentPlan, check?: CheckInputs): Promise<LatentWriter> {
    validatePlan(plan)
    await makeFolder(folder)
    const files = await readdir(folder)
    const leftovers = files.filter((file) => /^\.(latents_|manifest\.).*\.tmp$/.test(file))
    await Promise.all(leftovers.map((file) => rm(path.join(folder, file))))

    const manifest = await readManifest(folder)
    if (manifest) {
      requireSamePlan(folder, manifest.plan, summarise(plan))
    } else {
      const foreign = files.find((file) => file.endsWith('.safetensors'))
      if (foreign) {
        throw new MactokError(
          'ERR_FORMAT',
          `${folder} has ${foreign}, which readers would mistake for one of its shards`
        )
      }
    }
    const intact: ShardRecord[] = []
    for (const record of manifest?.shards ?? []) {
      if (!isOfPlan(record, plan)) continue
      const place = path.join(folder, record.file)
      if ((await fileSize(place)) !== record.bytes || (await sha256(place)) !== record.sha256) continue
      const current = check ? await check(record) : record
      if (current) intact.push(current)
    }
    const writer = new LatentWriter(folder, plan, intact)
    if (!manifest?.complete || writer.missingShards().length > 0) await writer.save(false)
    return writer
  }

  private ranges(): ShardRange[] {
    const { names, shardSize } = this.plan
    return this.records.map((_, index) => {
      const first = index * shardSize
      return { index, first, end: Math.min(first + shardSize, names.length) }
    })
  }

  /** The shards that are missing or whose files do not match their checksums, in order. */
  missingShards(): ShardRange[] {
    return this.ranges().filter(({ index }) => !this.records[index])
  }

  /** The shards that are complete, in order. */
  finishedShards(): ShardRecord[] {
    return this.records.filter((record) => record !== undefined)
  }

  /** Starts a shard, one of `missingShards()`. */
  startShard(range: ShardRange): ShardWriter {
    return new ShardWriter(range, this.folder, this.plan, async (record) => {
      this.records[range.index] = record
      await this.save(false)
    })
  }

  /**
   * Writes statistics (`latents_stats.json`, and `latents_stats.pt` for LightningDiT) and the final manifest.
   * @throws {RangeError} while shards are missing
   * @throws {MactokError} `ERR_FORMAT` when every sample was skipped
   */
  async finish(): Promise<{ statistics: LatentStatisticsFile; manifest: Manifest }> {
    const missing = this.missingShards()
    if (missing.length > 0) throw outOfRange('shards', 'all shards written', `${missing.length} missing`)
    const sums = new ChannelAccumulator(this.plan.shape)
    for (const record of this.records) sums.merge((record as ShardRecord).sums)
    const statistics = sums.result()
    if (statistics.count === 0) throw new MactokError('ERR_FORMAT', `${this.folder} has no samples: all were skipped`)
    const tensor = (values: readonly number[]) => ({ shape: [1, 1, values.length], values: Float32Array.from(values) })
    await writeJson(path.join(this.folder, statisticsFile), seal(statisticsFile, statistics, {}))
    const torch = torchFile({ mean: tensor(statistics.mean), std: tensor(statistics.std) })
    await writeAtomically(path.join(this.folder, torchStatisticsFile), (handle) => writeFully(handle, torch))
    return { statistics, manifest: await this.save(true) }
  }

  private async save(complete: boolean): Promise<Manifest> {
    const shards = this.finishedShards()
    const manifest: Manifest = {
      format_version: 1,
      complete,
      count: shards.reduce((sum, { count }) => sum + count, 0),
      plan: summarise(this.plan),
      classes: this.plan.classes ? [...this.plan.classes] : null,
      shards
    }
    await writeJson(path.join(this.folder, manifestFile), manifest)
    return manifest
  }
}

/**
 * Opens a folder for writing or to resume writing: finished shards are kept when their checksums match and their
 * images are current.
 * @throws {MactokError} `ERR_FORMAT` when the folder holds shards of another plan, naming the differences
 */
export async function openLatentWriter(folder: string, plan: LatentPlan, check?: CheckInputs): Promise<LatentWriter> {
  pathTo('folder', folder)
  return LatentWriter.open(folder, plan, check)
}
