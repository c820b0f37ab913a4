import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type LatentPlan, LatentShards, openLatents, openLatentWriter } from '../../lib/latents/index.js'
import { readManifest, type ShardRecord } from '../../lib/latents/manifest.js'
import { torchFile } from '../../lib/latents/torch-file.js'
import { addon } from '../../lib/native/load.js'
import { asBytes } from '../../lib/weights/dtype.js'
import { readSafetensors, writeSafetensors } from '../../lib/weights/index.js'
import { removeChecksums } from '../support/checksums.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mactok-latents-'))
})
afterEach(() => rm(folder, { recursive: true }))

const names = Array.from({ length: 7 }, (_, i) => `c${i >> 2}/p${i}.png`)
const plan: LatentPlan = {
  names,
  labels: names.map((_, i) => i >> 2),
  classes: ['c0', 'c1'],
  shape: [3, 4],
  dtype: 'float32',
  moments: false,
  shardSize: 3,
  tokenizer: 'tiny'
}
const broken = 4

/** What sample i has in field k: the numbers that the Python side was given. */
const values = (k: number, i: number) =>
  Float32Array.from({ length: 12 }, (_, j) => {
    const n = 1000 * k + 12 * i + j
    return Math.sin(n * 12.9898) * 2 + Math.cos(n * 0.37)
  })
const batchOf = (k: number, indices: number[]) => Float32Array.from(indices.flatMap((i) => [...values(k, i)]))

/** Makes a manifest one of a version without checksums. */
async function forgetChecksums() {
  const file = path.join(folder, 'manifest.json')
  await writeFile(file, (await readFile(file, 'utf8')).replaceAll('"sha256"', '"former"'))
}

/** Encodes what is missing, up to `shards` shards, in batches. */
async function encode(changes: Partial<LatentPlan> = {}, { shards = 99, batch = 2 } = {}) {
  const writer = await openLatentWriter(folder, { ...plan, ...changes })
  const missing = writer.missingShards()
  for (const range of missing.slice(0, shards)) {
    const shard = writer.startShard(range)
    for (let i = range.first; i < range.end; ) {
      if (i === broken) {
        shard.skip(i++, 'truncated')
        continue
      }
      const indices = [i++]
      while (indices.length < batch && i < range.end && i !== broken) indices.push(i++)
      const moments = changes.moments ? { logvar: batchOf(2, indices), logvarFlip: batchOf(3, indices) } : {}
      shard.add({ indices, latents: batchOf(0, indices), latentsFlip: batchOf(1, indices), ...moments })
    }
    await shard.commit()
  }
  return { writer, missing: missing.map(({ index }) => index) }
}

const all = async (changes: Partial<LatentPlan> = {}, options = {}) => {
  const { writer } = await encode(changes, options)
  return writer.finish()
}

/** Checksums of everything in the folder. */
async function checksums(): Promise<Record<string, string>> {
  const files = (await readdir(folder)).sort()
  const sums = files.map(async (file) => {
    const hash = createHash('sha256').update(await readFile(path.join(folder, file)))
    return [file, hash.digest('hex')] as const
  })
  return Object.fromEntries(await Promise.all(sums))
}

const shard = (index: number) => path.join(folder, `latents_rank00_shard00${index}.safetensors`)

describe('writing', () => {
  test("gives LightningDiT's files", async () => {
    await all()
    expect((await readdir(folder)).sort()).toEqual([
      'latents_rank00_shard000.safetensors',
      'latents_rank00_shard001.safetensors',
      'latents_rank00_shard002.safetensors',
      'latents_stats.json',
      'latents_stats.pt',
      'manifest.json'
    ])
    await using file = await readSafetensors(shard(1))
    expect(file.metadata).toEqual({
      total_size: '2',
      dtype: 'torch.float32',
      device: 'cpu',
      format_version: '1',
      tokenizer: 'tiny',
      moments: 'false'
    })
    const tensors = [...file.tensors.values()].map(({ name, format, shape }) => [name, format, shape])
    expect(tensors).toEqual([
      ['labels', 'I64', [2]],
      ['latents', 'F32', [2, 3, 4]],
      ['latents_flip', 'F32', [2, 3, 4]]
    ])
    // Samples 3 and 5: number 4 is broken.
    expect(await file.float32('latents_flip')).toEqual(batchOf(1, [3, 5]))
    expect(await file.bytes('labels')).toEqual(asBytes(BigInt64Array.of(0n, 1n)))
  })

  test('lists names, skipped samples and reasons in the manifest', async () => {
    const { manifest } = await all()
    expect(await readManifest(folder)).toEqual(manifest)
    expect(manifest).toMatchObject({ format_version: 1, complete: true, count: 6, classes: ['c0', 'c1'] })
    expect(manifest.shards[1]).toMatchObject({
      file: 'latents_rank00_shard001.safetensors',
      first: 3,
      end: 6,
      count: 2,
      names: ['c0/p3.png', 'c1/p5.png'],
      skipped: [{ name: 'c1/p4.png', reason: 'truncated' }]
    })
    expect(manifest.shards[1]?.sha256).toBe((await checksums())['latents_rank00_shard001.safetensors'])
  })

  test('gives an empty shard where all images are unreadable', async () => {
    const writer = await openLatentWriter(folder, { ...plan, shardSize: 1 })
    for (const range of writer.missingShards()) {
      const one = writer.startShard(range)
      if (range.first === broken) one.skip(broken, 'truncated')
      else one.add({ indices: [range.first], latents: values(0, range.first), latentsFlip: values(1, range.first) })
      await one.commit()
    }
    await writer.finish()
    await using latents = await openLatents(folder)
    expect(latents.count).toBe(6)
    expect((await latents.rows([4])).latents).toEqual(values(0, 5))
  })

  // numpy 2.4.6 on the files read by safetensors 0.8.0: mean and var(ddof=1) over latents and latents_flip in float64;
  // with moments plus the mean of exp(logvar).
  test.each([
    [
      { dtype: 'float32' },
      [-0.011072912641490499, -0.025376814417541027, -0.037867782223555774, -0.04594562564873033],
      [1.5847269531662231, 1.562507802343969, 1.5691531703664305, 1.5991702483684946],
      [-0.030065783732829407, 1.5623593706891388]
    ],
    [
      { dtype: 'bfloat16' },
      [-0.011447482638888888, -0.025627983940972224, -0.0379638671875, -0.04580349392361111],
      [1.5853084272565356, 1.5620198013135238, 1.569052099169067, 1.5992586503227981],
      [-0.030210706922743056, 1.5623800556446215]
    ],
    [
      { moments: true },
      [-0.011072912641490499, -0.025376814417541027, -0.037867782223555774, -0.04594562564873033],
      [2.332532104058766, 2.338370923939453, 2.337084711629135, 2.3088397775685565],
      [-0.030065783732829407, 2.3180207382112177]
    ]
  ] as [Partial<LatentPlan>, number[], number[], number[]][])(
    'statistics equal those of numpy: %j',
    async (changes, mean, std, scalar) => {
      const { statistics } = await all(changes)
      const close = (numbers: number[]) => numbers.map((number) => expect.closeTo(number, 12))
      expect(statistics).toEqual({
        format_version: 1,
        sample_shape: [3, 4],
        count: 36,
        mean: close(mean),
        std: close(std),
        scalar: { mean: expect.closeTo(scalar[0] as number, 12), std: expect.closeTo(scalar[1] as number, 12) }
      })
      await using latents = await openLatents(folder)
      expect((await latents.computeStatistics()).std).toEqual(close(std))
    }
  )

  test('gives the same files for the same plan, whatever the batches', async () => {
    await all({}, { batch: 1 })
    const first = await checksums()
    await rm(folder, { recursive: true })
    await all({}, { batch: 3 })
    expect(await checksums()).toEqual(first)
  })

  test('stores float16 as float16', async () => {
    await all({ dtype: 'float16' })
    await using latents = await openLatents(folder)
    expect(latents.dtype).toBe('float16')
    const { latents: row } = await latents.rows([0])
    row.forEach((value, i) => {
      expect(Math.abs(value - (values(0, 0)[i] as number))).toBeLessThanOrEqual(2 ** -10)
    })
  })

  test('stores no mirrored latents when told not to', async () => {
    const writer = await openLatentWriter(folder, { ...plan, flips: false, shardSize: 7 })
    for (const range of writer.missingShards()) {
      const one = writer.startShard(range)
      one.add({ indices: [0, 1, 2, 3, 4, 5, 6], latents: batchOf(0, [0, 1, 2, 3, 4, 5, 6]) })
      await one.commit()
    }
    expect((await writer.finish()).statistics.count).toBe(21)
    await using latents = await openLatents(folder)
    expect(latents.flips).toBe(false)
    await expect(latents.rows([0], { flip: true })).rejects.toThrow('these shards have no latents_flip')
  })
})

describe('an interrupted encode', () => {
  test('resumes at the first missing shard with the same result', async () => {
    await all()
    const uninterrupted = await checksums()
    await rm(folder, { recursive: true })
    await encode({}, { shards: 1 })
    const { writer, missing } = await encode()
    expect(missing).toEqual([1, 2])
    await writer.finish()
    expect(await checksums()).toEqual(uninterrupted)
  })

  test('has nothing to do when all shards are complete', async () => {
    await all()
    const before = await checksums()
    const { missing, writer } = await encode()
    expect(missing).toEqual([])
    await writer.finish()
    expect(await checksums()).toEqual(before)
  })

  test('rewrites a damaged or missing shard', async () => {
    await all()
    const before = await checksums()
    const bytes = await readFile(shard(0))
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    await writeFile(shard(0), bytes)
    await rm(shard(2))
    const { missing, writer } = await encode()
    expect(missing).toEqual([0, 2])
    await writer.finish()
    expect(await checksums()).toEqual(before)
  })

  test.each([
    ['a count that it does not hold', (record: ShardRecord) => ({ ...record, count: 1e12 })],
    [
      'a name that is none of its samples',
      (record: ShardRecord) => ({ ...record, names: record.names.with(0, '../x') })
    ],
    ['no names', (record: ShardRecord) => ({ ...record, names: null })],
    ['nothing', () => null]
  ])('rewrites a shard of which the manifest says %s', async (_, change) => {
    await all()
    const before = await checksums()
    const file = path.join(folder, 'manifest.json')
    const manifest = JSON.parse(await readFile(file, 'utf8'))
    manifest.shards[1] = change(manifest.shards[1])
    await writeFile(file, JSON.stringify(manifest))
    await removeChecksums(file)
    const { missing, writer } = await encode()
    expect(missing).toEqual([1])
    await writer.finish()
    expect(await checksums()).toEqual(before)
  })

  test.each(['manifest.json', 'latents_stats.json', 'latents_rank00_shard001.safetensors'])(
    'overwrites nothing that %s leads to',
    async (name) => {
      await all()
      const elsewhere = `${folder}.secret`
      await writeFile(elsewhere, 'not ours')
      await rm(path.join(folder, name))
      await symlink(elsewhere, path.join(folder, name))
      try {
        await expect(encode()).rejects.toThrow(`${path.join(folder, name)} is a link to a file`)
        expect(await readFile(elsewhere, 'utf8')).toBe('not ours')
      } finally {
        await rm(elsewhere)
      }
    }
  )

  test('leaves no half-written files behind', async () => {
    await encode({}, { shards: 1 })
    await writeFile(path.join(folder, '.latents_rank00_shard001.safetensors.0123456789ab.tmp'), 'half')
    await all()
    expect((await readdir(folder)).filter((file) => file.startsWith('.'))).toEqual([])
  })

  test('cannot be read, and the error says why', async () => {
    await encode({}, { shards: 1 })
    await expect(openLatents(folder)).rejects.toThrow(`${folder} is incomplete (1 shards so far)`)
  })

  test('does not resume another encoding, and names the differences', async () => {
    await encode({}, { shards: 1 })
    await expect(openLatentWriter(folder, { ...plan, shardSize: 2, dtype: 'float16' })).rejects.toThrow(
      'holds latents encoded differently: dtype "float32" instead of "float16", shard_size 3 instead of 2.'
    )
    await expect(openLatentWriter(folder, { ...plan, settings: { preprocess: 'fast' } })).rejects.toThrow(
      'preprocess undefined instead of "fast"'
    )
    await expect(openLatentWriter(folder, { ...plan, names: names.toReversed() })).rejects.toThrow('listing')
  })

  test("does not write into another program's folder", async () => {
    await writeSafetensors(path.join(folder, 'model.safetensors'), [])
    await expect(openLatentWriter(folder, plan)).rejects.toThrow('has model.safetensors, which readers would mistake')
  })
})

describe('wrong arguments', () => {
  test.each<[string, Partial<LatentPlan>]>([
    ['names', { names: [] }],
    ['names', { names: ['a', 'b', 'b'], labels: [0, 0, 0] }],
    ['labels', { labels: [0] }],
    ['labels', { labels: names.map(() => -1) }],
    ['shape', { shape: [0, 4] }],
    ['dtype', { dtype: 'int8' as never }],
    ['shardSize', { shardSize: 0.5 }],
    ['tokenizer', { tokenizer: '' }]
  ])('of the plan: %s', async (name, changes) => {
    await expect(openLatentWriter(folder, { ...plan, ...changes })).rejects.toThrow(` for ${name} but received`)
  })

  test('of a shard are rejected', async () => {
    const writer = await openLatentWriter(folder, plan)
    const [range] = writer.missingShards()
    const one = writer.startShard(range as never)
    const both = { latents: values(0, 0), latentsFlip: values(1, 0) }
    expect(() => one.add({ indices: [1], ...both })).toThrow(
      'Expected sample 0 next, before 3 for indices but received 1'
    )
    expect(() => one.add({ indices: [0], latents: values(0, 0) })).toThrow('for latentsFlip')
    expect(() => one.add({ indices: [0, 1], ...both })).toThrow('Expected 2 × 3 × 4 values for latents but received 12')
    expect(() => one.add({ indices: [0], ...both, hashes: [] })).toThrow('Expected 1 hashes for hashes')
    await expect(one.commit()).rejects.toThrow('all samples up to 3')
    await expect(writer.finish()).rejects.toThrow('3 missing')
  })

  test('a folder without any readable image is an error', async () => {
    const writer = await openLatentWriter(folder, { ...plan, names: ['a'], labels: [0] })
    for (const range of writer.missingShards()) {
      const one = writer.startShard(range)
      one.skip(0, 'empty')
      await one.commit()
    }
    await expect(writer.finish()).rejects.toThrow('has no samples: all were skipped')
  })
})

describe('reading', () => {
  test('reads any rows in any order, across shards', async () => {
    await all()
    await using latents = await openLatents(folder)
    expect(latents).toMatchObject({ count: 6, sampleShape: [3, 4], dtype: 'float32', moments: false, flips: true })
    expect(latents).toMatchObject({ classes: ['c0', 'c1'], classCount: 2, tokenizer: 'tiny' })
    expect(Array.from(latents.labels)).toEqual([0, 0, 0, 0, 1, 1])
    expect(latents.names()).toEqual(names.filter((_, i) => i !== broken))
    // Row 4 is sample 5.
    expect(await latents.rows([4, 0, 4])).toEqual({ latents: batchOf(0, [5, 0, 5]), labels: Int32Array.of(1, 0, 1) })
    const { latents: mixed } = await latents.rows([0, 1], { flip: [true, false] })
    expect(mixed).toEqual(Float32Array.of(...values(1, 0), ...values(0, 1)))
    await expect(latents.rows([6])).rejects.toThrow('Expected integers from 0 to 5 for indices but received 6')
    await expect(latents.rows([0.5])).rejects.toThrow(RangeError)
    // Filling memory first would end the process.
    await expect(latents.rows({ length: 1e9 })).rejects.toThrow(RangeError)
  })

  test('reads log-variances if they are stored', async () => {
    await all({ moments: true })
    await using latents = await openLatents(folder)
    expect(latents.moments).toBe(true)
    expect((await latents.rows([1], { flip: true })).logvar).toEqual(values(3, 1))
    await using file = await readSafetensors(shard(0))
    expect(file.names().sort()).toEqual(['labels', 'latents', 'latents_flip', 'latents_flip_logvar', 'latents_logvar'])
  })

  /** Shards as LightningDiT's own script leaves them: two-dimensional, no manifest, no JSON. */
  async function foreign(file: string, shape: number[], fill: number, labels: bigint[]) {
    const size = shape.reduce((product, side) => product * side, 1)
    const data = Float32Array.from({ length: size }, (_, i) => fill + i)
    await writeSafetensors(path.join(folder, file), [
      { name: 'latents', dtype: 'float32', shape, data },
      { name: 'latents_flip', dtype: 'float32', shape, data: data.map((value) => -value) },
      { name: 'labels', dtype: 'int64', shape: [labels.length], data: BigInt64Array.from(labels) }
    ])
  }

  test('computes the statistics of two-dimensional shards of other projects', async () => {
    await foreign('latents_rank00_shard000.safetensors', [2, 2, 1, 2], 0, [7n, 1n])
    await foreign('latents_rank00_shard001.safetensors', [1, 2, 1, 2], 100, [3n])
    await using latents = await openLatents(folder)
    expect(latents).toMatchObject({ count: 3, sampleShape: [2, 1, 2], classCount: 8 })
    expect(latents.names()).toBeUndefined()
    expect((await latents.rows([2])).latents).toEqual(Float32Array.of(100, 101, 102, 103))
    const statistics = await latents.statistics()
    expect(statistics.shape).toEqual([1, 2, 1, 1])
    expect(Array.from(statistics.mean)).toEqual([expect.closeTo(0, 12), expect.closeTo(0, 12)])
    // Channel 0: ±0, ±1, ±4, ±5, ±100, ±101; channel 1: ±2, ±3, ±6, ±7, ±102, ±103; over n - 1 = 11.
    const std = [
      [0, 1, 4, 5, 100, 101],
      [2, 3, 6, 7, 102, 103]
    ].map((numbers) => Math.sqrt(numbers.reduce((sum, number) => sum + 2 * number ** 2, 0) / 11))
    expect(Array.from(statistics.std)).toEqual(std.map((value) => expect.closeTo(value, 4)))
  })

  test("uses LightningDiT's own statistics, and says so", async () => {
    await foreign('latents_rank00_shard000.safetensors', [2, 2, 1, 2], 0, [0n, 1n])
    const tensors = { mean: { shape: [1, 2, 1, 1], values: Float32Array.of(5, 6) } }
    const std = { shape: [1, 2, 1, 1], values: Float32Array.of(7, 8) }
    await writeFile(path.join(folder, 'latents_stats.pt'), torchFile({ ...tensors, std }))
    await using latents = await openLatents(folder)
    const statistics = await latents.statistics()
    expect([[...statistics.mean], [...statistics.std]]).toEqual([
      [5, 6],
      [7, 8]
    ])
    expect(await latents.statisticsFile()).toBe('latents_stats.pt')
    expect(await latents.statisticsFile('scalar')).toBeNull()
    await writeFile(path.join(folder, 'latents_stats.pt'), torchFile(tensors))
    await expect(latents.statistics()).rejects.toThrow('latents_stats.pt has no std of 2 channels')
  })

  test('statistics that are not JSON are refused by file', async () => {
    await all()
    await using latents = await openLatents(folder)
    const file = path.join(folder, 'latents_stats.json')
    const text = await readFile(file, 'utf8')
    await writeFile(
      file,
      text.replace(/(?<="mean": \[\s*-?)\d/, (digit) => String(9 - Number(digit)))
    )
    await expect(latents.statistics()).rejects.toThrow(`${file} is damaged: its checksum is not what`)
    await writeFile(path.join(folder, 'latents_stats.json'), '{"mean": [')
    await expect(latents.statistics()).rejects.toThrow(/latents_stats.json is not JSON: Unexpected end/)
  })

  test.each([-2n, 1_000_000n, 10_000_000n, 99_999_999_999n])('refuses label %d by shard and row', async (label) => {
    await foreign('latents_rank00_shard000.safetensors', [1, 1, 1], 0, [0n])
    await foreign('latents_rank00_shard001.safetensors', [2, 1, 1], 0, [-1n, label])
    const problem = `row 1 has label ${label}, expected -1 (unlabelled) to 999999`
    await expect(openLatents(folder)).rejects.toThrow(`${shard(1)} is not a latent shard: ${problem}`)
  })

  test('refuses a label that the list of classes lacks', async () => {
    await all()
    await foreign('latents_rank00_shard002.safetensors', [1, 3, 4], 0, [2n])
    await expect(openLatents(folder)).rejects.toThrow('row 0 has label 2, expected -1 (unlabelled) to 1')
  })

  test('takes label -1 as unlabelled, and int32 labels', async () => {
    await foreign('latents_rank00_shard000.safetensors', [3, 1, 1], 0, [4n, -1n, 0n])
    const labels = Int32Array.of(2, -1)
    await writeSafetensors(shard(1), [
      { name: 'latents', dtype: 'float32', shape: [2, 1, 1], data: new Float32Array(2) },
      { name: 'labels', dtype: 'int32', shape: [2], data: labels }
    ])
    await using latents = await openLatents(folder)
    expect(latents.classCount).toBe(5)
    expect([...latents.labels]).toEqual([4, -1, 0, 2, -1])
  })

  test('sorts a thousand shards by number', async () => {
    for (const index of ['0999', '1000', '101'])
      await foreign(`latents_rank00_shard${index}.safetensors`, [1, 1, 1], Number(index), [0n])
    await using latents = await openLatents(folder)
    expect(Array.from((await latents.rows([0, 1, 2])).latents)).toEqual([101, 999, 1000])
  })

  test.each<[string, (place: string) => Promise<unknown>, string]>([
    ['an empty folder', async () => {}, 'has no latent shards'],
    [
      'another file',
      (place) => writeSafetensors(path.join(place, 'x.safetensors'), []),
      'is not a latent shard: it has no tensor "latents"'
    ],
    [
      'another shape',
      () => foreign('latents_rank00_shard009.safetensors', [1, 4, 4], 0, [0n]),
      'latents has shape [1, 4, 4], expected [n, 3, 4]'
    ],
    [
      'too few labels',
      () => foreign('latents_rank00_shard009.safetensors', [2, 3, 4], 0, [0n]),
      'labels are I64 [1], expected I64 or I32 [2]'
    ],
    [
      'an additional shard',
      () => foreign('latents_rank00_shard009.safetensors', [1, 3, 4], 0, [0n]),
      'has 7 samples, but its manifest lists 6'
    ],
    [
      'a cut shard',
      (place) => writeFile(path.join(place, 'latents_rank00_shard001.safetensors'), 'cut'),
      'is not a valid safetensors file'
    ],
    [
      'a broken manifest',
      (place) => writeFile(path.join(place, 'manifest.json'), '{"shards"'),
      'is not a manifest of format version 1'
    ]
  ])('refuses %s', async (what, damage, message) => {
    if (what !== 'an empty folder') await all()
    await damage(folder)
    await expect(openLatents(folder)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(openLatents(folder)).rejects.toThrow(message)
  })

  test('refuses a shard with a changed bit, also when it was opened before', async () => {
    await all()
    await (await openLatents(folder)).close()
    const bytes = await readFile(shard(1))
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    await writeFile(shard(1), bytes)
    for (let i = 0; i < 2; i++) {
      await expect(openLatents(folder)).rejects.toThrow(`${shard(1)} is damaged: its checksum is not what`)
    }
  })

  test('refuses a manifest with a changed name, until it is declared as changed by hand', async () => {
    await all()
    const file = path.join(folder, 'manifest.json')
    await writeFile(file, (await readFile(file, 'utf8')).replace('c0/p3.png', 'c0/p2.png'))
    await expect(openLatents(folder)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining(`${file} is damaged: its checksum is not what`)
    })
    await expect(openLatentWriter(folder, plan)).rejects.toThrow(`${file} is damaged`)
    await removeChecksums(file)
    await using latents = await openLatents(folder)
    expect(latents.names()?.[3]).toBe('c0/p2.png')
  })

  test.each([
    ['in one go', () => addon()],
    ['row by row', () => undefined]
  ])('a shard that is cut while it is read %s is an error that names it', async (_, reader) => {
    await all()
    await using latents = await LatentShards.open(folder, reader())
    await latents.rows([0, 4])
    await truncate(shard(1), 100)
    await expect(latents.rows([0, 4])).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(/shard001\.safetensors .*ends at byte \d+/)
    })
  })

  test('refuses latents that are not finite, by shard and row', async () => {
    const first = batchOf(0, [0, 1, 2])
    const writer = await openLatentWriter(folder, {
      ...plan,
      names: names.slice(0, 6),
      labels: names.slice(0, 6).map(() => 0)
    })
    for (const range of writer.missingShards()) {
      const one = writer.startShard(range)
      one.add({ indices: [range.first, range.first + 1, range.first + 2], latents: first, latentsFlip: first })
      await one.commit()
    }
    await writer.finish()
    const bytes = await readFile(shard(1))
    bytes.writeUInt32LE(0x7fc00000, bytes.indexOf(Buffer.from(asBytes(values(0, 2)))))
    await writeFile(shard(1), bytes)
    await forgetChecksums()
    await using latents = await openLatents(folder)
    await latents.rows([0, 4])
    await expect(latents.rows([0, 5])).rejects.toThrow(`Row 2 of ${shard(1)} has latents that are not finite`)
    await expect(latents.computeStatistics()).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })
})
