import path from 'node:path'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import { sha256 } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { fromFloat32, toFloat32 } from '../weights/dtype.js'
import { type TensorData, writeSafetensors } from '../weights/writer.js'
import { type Field, fieldsOf, tensorNames } from './fields.js'
import { type LatentPlan, type ShardRecord, shardName } from './manifest.js'
import { ChannelAccumulator } from './statistics.js'
import { checkValues } from './verify.js'

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
   * Writes the shard, reads it again to compare, and records it.
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
    const problem = await checkValues(place, record, plan)
    if (problem) throw new MactokError('ERR_FORMAT', `${place} is not what was written to it: ${problem}`)
    await this.onCommit(record)
    return record
  }
}
