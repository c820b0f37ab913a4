import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { callback, pathTo } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, MactokError, outOfRange } from '../errors.js'
import type { Addon, NativeMappedFile } from '../native/addon.js'
import { dtypeSize, toFloat32, type WeightDtype } from '../weights/dtype.js'
import { readSafetensors, type SafetensorsFile } from '../weights/reader.js'
import { maxClasses } from './limits.js'
import { type Manifest, readManifest, requireReadable } from './manifest.js'
import { recordNames } from './records.js'
import {
  ChannelAccumulator,
  LatentStatistics,
  type LatentStatisticsFile,
  type SampleShape,
  sampleSize
} from './statistics.js'
import { readStoredStatistics, type StatisticsMode } from './stored-statistics.js'
import { verifyShards } from './verified.js'

interface Shard {
  file: SafetensorsFile
  /** Reads many rows at once on libuv's threads. */
  opened: NativeMappedFile | undefined
  /** Index of its first sample among those of all shards. */
  first: number
  count: number
}

/** Opens the shards for reading many rows at once, all of them or none. */
function openShards(shards: readonly Shard[], addon: Pick<Addon, 'mapFile'>): void {
  try {
    for (const shard of shards) {
      shard.opened = addon.mapFile(shard.file.path)
      callback('addon.mapFile(path).close', shard.opened?.close)
    }
  } catch (error) {
    for (const { opened } of shards) opened?.close?.()
    throw error
  }
}

export interface RowOptions {
  /** Read the latents of the mirrored images: for all rows, or row by row. Default false. */
  flip?: boolean | ArrayLike<boolean>
}

export interface LatentRows {
  /** [n, L, Z] or [n, C, H, W], row-major. */
  latents: Float32Array
  /** Log-variances in the same shape, from shards with moments. */
  logvar?: Float32Array
  /** -1 for none. */
  labels: Int32Array
}

/** The index of the first NaN or infinite value, or -1. A sum tells of any in a fraction of the time of a search. */
function findNonFinite(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * 0
  return sum === 0 ? -1 : values.findIndex((value) => !Number.isFinite(value))
}

/** Sorts `shard2` before `shard10`; names of equal length sort as in Python. */
const byNumber = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

const fail = (file: SafetensorsFile, problem: string): MactokError =>
  new MactokError('ERR_FORMAT', `${file.path} is not a latent shard: ${problem}`)

/** Checks a file's tensors against the first shard's sample shape and dtype; returns its number of samples. */
function checkShard(file: SafetensorsFile, sampleShape: readonly number[], dtype: WeightDtype): number {
  const expected = `[n, ${sampleShape.join(', ')}]`
  const count = file.info('latents').shape[0] as number
  for (const name of ['latents', 'latents_flip', 'latents_logvar', 'latents_flip_logvar']) {
    if (!file.tensors.has(name)) continue
    const { shape } = file.info(name)
    if (`${shape}` !== `${[count, ...sampleShape]}`) {
      throw fail(file, `${name} has shape [${shape.join(', ')}], expected ${expected}`)
    }
    if (file.dtype(name) !== dtype) throw fail(file, `${name} is ${file.dtype(name)}, expected ${dtype}`)
  }
  const labels = file.info('labels')
  if (!['I64', 'I32'].includes(labels.format) || `${labels.shape}` !== `${count}`) {
    throw fail(file, `labels are ${labels.format} [${labels.shape.join(', ')}], expected I64 or I32 [${count}]`)
  }
  return count
}

/** Reads a shard's labels. A generator has a row of weights per class, so that labels must stay below `classes`. */
async function readLabels(file: SafetensorsFile, classes: number): Promise<Int32Array> {
  const { buffer } = await file.bytes('labels')
  const labels = file.dtype('labels') === 'int64' ? new BigInt64Array(buffer) : new Int32Array(buffer)
  return Int32Array.from(labels as ArrayLike<number | bigint>, (label, row) => {
    if (label >= -1 && label < classes) return Number(label)
    throw fail(file, `row ${row} has label ${label}, expected -1 (unlabelled) to ${classes - 1}`)
  })
}

/** A folder of latent shards, with random access to the samples in all of them. */
export class LatentShards {
  private constructor(
    readonly folder: string,
    private readonly shards: readonly Shard[],
    /** Samples in all shards. */
    readonly count: number,
    /** [L, Z] for tokens, [C, H, W] for two-dimensional latents. */
    readonly sampleShape: SampleShape,
    readonly dtype: WeightDtype,
    /** Whether log-variances are stored. */
    readonly moments: boolean,
    /** Whether every shard has the latents of the mirrored images. */
    readonly flips: boolean,
    /** Class of each sample; -1 for none. */
    readonly labels: Int32Array,
    /** Class names by label, if the folder has them. */
    readonly classes: readonly string[] | undefined,
    /** Identity of the tokenizer that encoded them, if the shards name it. */
    readonly tokenizer: string | undefined,
    private readonly manifest: Manifest | undefined
  ) {}

  /**
   * @param addon - reads the rows of a batch in one go, instead of one by one
   */
  static async open(folder: string, addon?: Pick<Addon, 'mapFile'>): Promise<LatentShards> {
    pathTo('folder', folder)
    if (addon !== undefined) callback('addon.mapFile', addon?.mapFile)
    const manifest = await readManifest(folder)
    if (manifest) requireReadable(folder, manifest)
    const unmerged = await recordNames(folder)
    if (manifest && (!manifest.complete || unmerged.length > 0)) {
      const done = new Set([...manifest.shards.map(({ file }) => file), ...unmerged]).size
      throw new MactokError(
        'ERR_FORMAT',
        `${folder} is incomplete (${done} shards so far): run the same encode again to finish it`
      )
    }
    const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'))
    if (names.length === 0) throw new MactokError('ERR_FORMAT', `${folder} has no latent shards`)
    const files: SafetensorsFile[] = []
    try {
      for (const name of names.sort(byNumber)) files.push(await readSafetensors(path.join(folder, name)))
      return await LatentShards.assemble(folder, files, manifest, addon)
    } catch (error) {
      await Promise.all(files.map((file) => file.close()))
      throw error
    }
  }

  private static async assemble(
    folder: string,
    files: SafetensorsFile[],
    manifest: Manifest | undefined,
    addon: Pick<Addon, 'mapFile'> | undefined
  ): Promise<LatentShards> {
    for (const file of files) {
      const missing = ['latents', 'labels'].find((name) => !file.tensors.has(name))
      if (missing) throw fail(file, `it has no tensor "${missing}"`)
    }
    const [head] = files as [SafetensorsFile, ...SafetensorsFile[]]
    const [, ...sampleShape] = head.info('latents').shape
    if (sampleShape.length !== 2 && sampleShape.length !== 3) {
      throw fail(
        head,
        `latents have shape [${head.info('latents').shape.join(', ')}], expected [n, L, Z] or [n, C, H, W]`
      )
    }
    if (sampleShape.includes(0)) throw fail(head, `its samples [${sampleShape.join(', ')}] have no elements`)
    const shards: Shard[] = []
    let count = 0
    for (const file of files) {
      const rows = checkShard(file, sampleShape, head.dtype('latents'))
      shards.push({ file, opened: undefined, first: count, count: rows })
      count += rows
    }
    if (manifest && manifest.count !== count) {
      throw new MactokError('ERR_FORMAT', `${folder} has ${count} samples, but its manifest lists ${manifest.count}`)
    }
    const classes = manifest?.classes ?? undefined
    const labels = new Int32Array(count)
    for (const { file, first } of shards) labels.set(await readLabels(file, classes?.length ?? maxClasses), first)
    if (manifest) await verifyShards(folder, manifest)
    if (addon) openShards(shards, addon)
    const all = (name: string) => files.every((file) => file.tensors.has(name))
    return new LatentShards(
      folder,
      shards,
      count,
      sampleShape as unknown as SampleShape,
      head.dtype('latents'),
      all('latents_logvar'),
      all('latents_flip'),
      labels,
      classes,
      head.metadata.tokenizer,
      manifest
    )
  }

  /** The number of class names, else one more than the highest label. */
  get classCount(): number {
    return this.classes?.length ?? this.labels.reduce((highest, label) => Math.max(highest, label), -1) + 1
  }

  /** Names of the samples, if the folder has a manifest. */
  names(): string[] | undefined {
    return this.manifest?.shards.flatMap(({ names }) => names)
  }

  private requireRow(row: number): void {
    if (Number.isInteger(row) && row >= 0 && row < this.count) return
    throw outOfRange('indices', `integers from 0 to ${this.count - 1}`, row)
  }

  /** The shard of a row that `requireRow` has passed. */
  private shardOf(row: number): Shard {
    let [low, high] = [0, this.shards.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.shards[middle] as Shard).first <= row) low = middle
      else high = middle - 1
    }
    return this.shards[low] as Shard
  }

  /**
   * Reads samples in any order, across shards, as float32.
   * @throws {MactokError} `ERR_FORMAT` for values that are not finite, naming shard and row
   * @throws {RangeError} for an index outside 0 … count-1, or for `flip` when the shards have no mirrored latents
   */
  async rows(indices: ArrayLike<number>, options: RowOptions = {}): Promise<LatentRows> {
    checkOptions(options, { flip: true })
    const { flip = false } = options
    if (!Number.isSafeInteger(Object(indices).length))
      throw invalidParameter('indices', 'an array of integers', indices)
    const rows: number[] = []
    // By length, because iterating a detached array throws; one after another, because a length may be a lie.
    for (let i = 0; i < indices.length; i++) {
      const row = indices[i] as number
      this.requireRow(row)
      rows.push(row)
    }
    const flips = Array.from(rows, (_, i) => (typeof flip === 'boolean' ? flip : Boolean(flip[i])))
    if (!this.flips && flips.includes(true)) {
      throw outOfRange('flip', 'false: these shards have no latents_flip', true)
    }
    const [latents, logvar] = await Promise.all([
      this.gather(rows, flips, ''),
      this.moments ? this.gather(rows, flips, '_logvar') : undefined
    ])
    return {
      latents,
      ...(logvar ? { logvar } : {}),
      labels: Int32Array.from(rows, (row) => this.labels[row] as number)
    }
  }

  /** Reads rows of `latents` or `latents_flip`, or of the tensors with these names and a suffix. */
  private async gather(rows: readonly number[], flips: readonly boolean[], suffix: string): Promise<Float32Array> {
    const length = sampleSize(this.sampleShape) * dtypeSize(this.dtype)
    const bytes = new Uint8Array(rows.length * length)
    const pieces = new Map<Shard, { offsets: number[]; positions: number[] }>()
    for (const [i, row] of rows.entries()) {
      const shard = this.shardOf(row)
      const { offset } = shard.file.info((flips[i] ? 'latents_flip' : 'latents') + suffix)
      const found = pieces.get(shard) ?? { offsets: [], positions: [] }
      pieces.set(shard, found)
      found.offsets.push(offset + (row - shard.first) * length)
      found.positions.push(i * length)
    }
    await Promise.all(
      Array.from(pieces, ([{ file, opened }, { offsets, positions }]) =>
        (opened ?? file).gather(offsets, positions, length, bytes)
      )
    ).catch((cause) => {
      throw cause instanceof MactokError ? cause : new MactokError('ERR_FORMAT', cause.message, { cause })
    })
    const values = toFloat32(bytes, this.dtype)
    const wrong = findNonFinite(values)
    if (wrong >= 0) {
      const row = rows[Math.floor(wrong / sampleSize(this.sampleShape))] as number
      const { file, first } = this.shardOf(row)
      throw new MactokError('ERR_FORMAT', `Row ${row - first} of ${file.path} has latents that are not finite`)
    }
    return values
  }

  /**
   * The statistics to normalise with: those stored in the folder, LightningDiT's included, else computed from all its
   * shards.
   * @param mode - `channel` (the default), or `scalar` for one mean and deviation over all channels
   */
  async statistics(mode: StatisticsMode = 'channel'): Promise<LatentStatistics> {
    const stored = await readStoredStatistics(this.folder, this.sampleShape, mode)
    return stored?.statistics ?? LatentStatistics.fromFile(await this.computeStatistics(), mode)
  }

  /** The file that `statistics` reads; null when it computes them. */
  async statisticsFile(mode: StatisticsMode = 'channel'): Promise<string | null> {
    return (await readStoredStatistics(this.folder, this.sampleShape, mode))?.name ?? null
  }

  /** Computes statistics from all shards: over `latents` and `latents_flip`, unbiased, in double precision. */
  async computeStatistics(): Promise<LatentStatisticsFile> {
    const sums = new ChannelAccumulator(this.sampleShape)
    const size = sampleSize(this.sampleShape)
    const step = 256
    for (let start = 0; start < this.count; start += step) {
      const indices = Array.from({ length: Math.min(step, this.count - start) }, (_, i) => start + i)
      for (const flip of this.flips ? [false, true] : [false]) {
        const { latents, logvar } = await this.rows(indices, { flip })
        for (let at = 0; at < latents.length; at += size) {
          sums.add(latents.subarray(at, at + size), logvar?.subarray(at, at + size))
        }
      }
    }
    return sums.result()
  }

  /** Closes the files; harmless when repeated. */
  async close(): Promise<void> {
    for (const { opened } of this.shards) opened?.close()
    await Promise.all(this.shards.map(({ file }) => file.close()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Opens a folder of latent shards in LightningDiT's layout, MacTok's or others', of tokens or two-dimensional latents.
 * @throws {MactokError} `ERR_FORMAT` naming the file that is not a shard or does not match the others
 */
export const openLatents = (folder: string): Promise<LatentShards> => LatentShards.open(folder)
