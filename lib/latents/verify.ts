/** Compares shards with their records. */

import path from 'node:path'
import { MactokError } from '../errors.js'
import { sha256 } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { toFloat32 } from '../weights/dtype.js'
import { readSafetensors, type SafetensorsFile } from '../weights/reader.js'
import { fieldsOf, tensorNames } from './fields.js'
import type { LatentPlan, ShardRecord } from './manifest.js'
import { ChannelAccumulator, sampleSize } from './statistics.js'

/** Rows read at once. */
const chunk = 256

/**
 * Compares a shard's tensors with its record: shapes, labels, and the sums of all values.
 * @returns what differs; null for nothing
 */
export async function checkValues(file: string, record: ShardRecord, plan: LatentPlan): Promise<string | null> {
  let opened: SafetensorsFile
  try {
    opened = await readSafetensors(file)
  } catch (error) {
    if (error instanceof MactokError) return error.message
    throw error
  }
  await using shard = opened
  const shape = `${[record.count, ...plan.shape]}`
  for (const field of fieldsOf(plan)) {
    const info = shard.tensors.get(tensorNames[field])
    if (!info) return `it has no ${tensorNames[field]}`
    if (`${info.shape}` !== shape || shard.dtype(tensorNames[field]) !== plan.dtype) {
      return `${tensorNames[field]} is ${info.format} [${info.shape.join(', ')}], expected ${plan.dtype} [${shape}]`
    }
  }
  return (await checkLabels(shard, record, plan)) ?? (await checkSums(shard, record, plan))
}

async function checkLabels(shard: SafetensorsFile, record: ShardRecord, plan: LatentPlan): Promise<string | null> {
  if (!shard.tensors.has('labels')) return 'it has no labels'
  const bytes = await shard.bytes('labels')
  if (shard.dtype('labels') !== 'int64') return `labels are ${shard.dtype('labels')}, expected int64`
  const labels = new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8)
  const expected = keptSamples(record, plan).map((index) => plan.labels[index] as number)
  const isSame = labels.length === expected.length && expected.every((label, row) => Number(labels[row]) === label)
  return isSame ? null : 'its labels are not those of its images'
}

/** Positions in the listing of a shard's rows: those of its images that were not skipped. */
export function keptSamples({ first, end, skipped }: ShardRecord, { names }: Pick<LatentPlan, 'names'>): number[] {
  const without = new Set(skipped.map(({ name }) => name))
  return Array.from({ length: end - first }, (_, i) => first + i).filter(
    (index) => !without.has(names[index] as string)
  )
}

async function checkSums(shard: SafetensorsFile, record: ShardRecord, plan: LatentPlan): Promise<string | null> {
  const size = sampleSize(plan.shape)
  const sums = new ChannelAccumulator(plan.shape)
  const fields = fieldsOf(plan)
  for (let start = 0; start < record.count; start += chunk) {
    const end = Math.min(record.count, start + chunk)
    const values = new Map<string, Float32Array>()
    for (const field of fields) {
      values.set(field, toFloat32(await shard.rows(tensorNames[field], start, end), plan.dtype))
    }
    // In the order in which they were added, so that the sums are the same to the last bit.
    for (let at = 0; at < (end - start) * size; at += size) {
      const row = (field: string) => values.get(field)?.subarray(at, at + size)
      sums.add(row('latents') as Float32Array, row('logvar'))
      const flip = row('latentsFlip')
      if (flip) sums.add(flip, row('logvarFlip'))
    }
  }
  // JSON has no NaN: sums that are not finite are null in a record.
  return JSON.stringify(sums.sums()) === JSON.stringify(record.sums)
    ? null
    : 'its values are not those that were encoded'
}

/** How thoroughly shards are compared: `values` reads every value besides the checksum of the file. */
export interface ShardCheck {
  values?: boolean
}

/**
 * Compares a shard's file with its record.
 * @returns what is wrong with it; null for nothing
 */
export async function checkShard(
  folder: string,
  record: ShardRecord,
  plan: LatentPlan,
  { values = false }: ShardCheck = {}
): Promise<string | null> {
  const place = path.join(folder, record.file)
  const size = await fileSize(place)
  if (size === undefined) return 'it is missing'
  if (size !== record.bytes) return `it has ${size} bytes instead of ${record.bytes}`
  if ((await sha256(place)) !== record.sha256) return 'its checksum is wrong'
  if (!values) return null
  return record.sums.mean.every(Number.isFinite) ? checkValues(place, record, plan) : 'its latents are not finite'
}
