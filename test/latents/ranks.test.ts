import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  type LatentPlan,
  LatentWriter,
  type LatentWriterOptions,
  openLatents,
  openLatentWriter
} from '../../lib/latents/index.js'
import { shardName } from '../../lib/latents/manifest.js'
import { removeChecksums } from '../support/checksums.js'

let root: string
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'mactok-ranks-'))
})
afterEach(() => rm(root, { recursive: true }))

const listing = (count: number): LatentPlan => {
  const names = Array.from({ length: count }, (_, i) => `c${Math.floor(i / 6)}/p${String(i).padStart(3, '0')}.png`)
  return {
    names,
    labels: names.map((_, i) => Math.floor(i / 6)),
    classes: [...new Set(names.map((name) => name.slice(0, 2)))],
    shape: [2, 3],
    dtype: 'float32',
    moments: false,
    shardSize: 2,
    tokenizer: 'tiny'
  }
}
const plan = listing(11)

/** What sample i has. Sample 4 is unreadable. */
const values = (i: number, sign = 1) => Float32Array.from({ length: 6 }, (_, j) => sign * Math.sin(100 * i + j))
const broken = 4

const ranksOf = (rank: number, worldSize: number) => ({ rank, worldSize, localRank: rank, localSize: worldSize })

interface Work extends LatentWriterOptions {
  plan?: LatentPlan
  /** Stops after this many shards, as a killed process does. */
  shards?: number
}

/** Works as one rank does; the indices of the shards that it wrote. */
async function work(folder: string, { plan: each = plan, shards = 99, ...options }: Work = {}) {
  const writer = await openLatentWriter(folder, each, options)
  const missing = writer.missingShards().slice(0, shards)
  for (const range of missing) {
    const shard = writer.startShard(range)
    for (let i = range.first; i < range.end; i++) {
      if (i === broken) shard.skip(i, 'truncated')
      else shard.add({ indices: [i], latents: values(i), latentsFlip: values(i, -1) })
    }
    await shard.commit()
  }
  if (writer.missingShards().length === 0) await writer.merge()
  return missing.map(({ index }) => index)
}

async function checksums(folder: string): Promise<Record<string, string>> {
  const sums: Record<string, string> = {}
  for (const file of (await readdir(folder)).sort()) {
    sums[file] = createHash('sha256')
      .update(await readFile(path.join(folder, file)))
      .digest('hex')
  }
  return sums
}

const at = (name: string) => path.join(root, name)

async function expected(each = plan) {
  await work(at('one'), { plan: each })
  return checksums(at('one'))
}

describe('several ranks', () => {
  test.each([2, 3, 4, 9])('%d ranks write the same files as one, whoever ends last', async (worldSize) => {
    const order = Array.from({ length: worldSize }, (_, i) => (i * 2 + 1) % worldSize)
    for (const rank of new Set([...order, ...order.keys()])) await work(at('many'), { ranks: ranksOf(rank, worldSize) })
    expect(await checksums(at('many'))).toEqual(await expected())
  })

  test('three ranks at once write the same files as one', async () => {
    await Promise.all([0, 1, 2].map((rank) => work(at('many'), { ranks: ranksOf(rank, 3) })))
    expect(await checksums(at('many'))).toEqual(await expected())
  })

  test('a folder is incomplete until the last rank ends, and then reads', async () => {
    await work(at('many'), { ranks: ranksOf(1, 2) })
    await expect(openLatents(at('many'))).rejects.toThrow('is incomplete (3 shards so far)')
    await work(at('many'), { ranks: ranksOf(0, 2) })
    await using latents = await openLatents(at('many'))
    expect(latents.count).toBe(10)
  })

  test('what a killed rank did not write is written by another number of ranks, and nothing else', async () => {
    await work(at('many'), { ranks: ranksOf(0, 3) })
    await work(at('many'), { ranks: ranksOf(1, 3), shards: 1 })
    await work(at('many'), { ranks: ranksOf(2, 3) })
    await writeFile(at(`many/.${shardName(4)}.0123456789ab.tmp`), 'half')
    expect(await work(at('many'), { ranks: ranksOf(1, 2) })).toEqual([])
    expect(await work(at('many'), { ranks: ranksOf(0, 2) })).toEqual([4])
    expect(await checksums(at('many'))).toEqual(await expected())
  })

  test("a rank leaves others' unfinished files alone", async () => {
    await work(at('many'), { ranks: ranksOf(0, 2), shards: 1 })
    await writeFile(at(`many/.${shardName(3)}.0123456789ab.tmp`), 'half')
    await work(at('many'), { ranks: ranksOf(0, 2) })
    expect(await readdir(at('many'))).toContain(`.${shardName(3)}.0123456789ab.tmp`)
  })

  test('a damaged record, or one of another plan, is a missing shard', async () => {
    await work(at('many'), { ranks: ranksOf(0, 2) })
    await writeFile(at(`many/${shardName(0)}.json`), '{"plan"')
    const record = JSON.parse(await readFile(at(`many/${shardName(2)}.json`), 'utf8'))
    await writeFile(at(`many/${shardName(2)}.json`), JSON.stringify({ ...record, plan: 'another' }))
    const other = JSON.parse(await readFile(at(`many/${shardName(4)}.json`), 'utf8'))
    other.record.sums.count += 1
    await writeFile(at(`many/${shardName(4)}.json`), JSON.stringify(other))
    expect(await work(at('many'))).toEqual([0, 1, 2, 3, 4, 5])
    expect(await checksums(at('many'))).toEqual(await expected())
  })

  test('a shard whose images changed cannot be read until it is written again', async () => {
    await expected()
    const check = async (record: { first: number }) => (record.first === 2 ? null : (record as never))
    await work(at('one'), { check, ranks: ranksOf(1, 2), shards: 0 })
    await expect(openLatents(at('one'))).rejects.toThrow('is incomplete')
    expect(await work(at('one'), { ranks: ranksOf(1, 2) })).toEqual([1])
    await using latents = await openLatents(at('one'))
    expect(latents.count).toBe(10)
  })
})

describe('appending', () => {
  const longer = listing(17)

  test('writes the last shard and the new ones, with the files of a new folder', async () => {
    await work(at('grown'))
    expect(await work(at('grown'), { plan: longer, append: true })).toEqual([5, 6, 7, 8])
    expect(await checksums(at('grown'))).toEqual(await expected(longer))
  })

  test('works among ranks, and resumes', async () => {
    await work(at('grown'))
    await work(at('grown'), { plan: longer, append: true, ranks: ranksOf(1, 2), shards: 1 })
    await expect(openLatents(at('grown'))).rejects.toThrow('is incomplete')
    for (const rank of [0, 1]) await work(at('grown'), { plan: longer, append: true, ranks: ranksOf(rank, 2) })
    expect(await checksums(at('grown'))).toEqual(await expected(longer))
  })

  test('is refused where the listing does not begin with the old one, and offered where it does', async () => {
    await work(at('grown'))
    const before = await checksums(at('grown'))
    await expect(work(at('grown'), { plan: longer })).rejects.toThrow(
      'Its 11 images are the first of these: append the others with append (--append)'
    )
    const between = { ...longer, names: longer.names.with(3, 'c0/new.png') }
    await expect(work(at('grown'), { plan: between, append: true })).rejects.toThrow(
      `Cannot append to ${at('grown')}: the 11 images that it holds are not the first of the 17 listed now`
    )
    await expect(work(at('grown'), { plan: { ...longer, dtype: 'float16' }, append: true })).rejects.toThrow(
      'its latents were encoded differently: dtype "float32" instead of "float16"'
    )
    await expect(work(at('grown'), { plan: { ...longer, classes: ['x', 'c1', 'c2'] }, append: true })).rejects.toThrow(
      'its class c0 is not among the classes now'
    )
    expect(await checksums(at('grown'))).toEqual(before)
  })

  test('is refused to an incomplete folder, and for draws of mirrored images', async () => {
    await work(at('part'), { shards: 1 })
    await expect(work(at('part'), { plan: longer, append: true })).rejects.toThrow('is incomplete: finish it')
    const drawn = { settings: { sample: true, seed: 0 } }
    await work(at('drawn'), { plan: { ...plan, ...drawn } })
    await expect(work(at('drawn'), { plan: { ...longer, ...drawn }, append: true })).rejects.toThrow(
      'the noise of drawn mirrored latents depends on the number of all images'
    )
  })
})

describe('verifying', () => {
  /** Changes a byte of a file. */
  async function damage(file: string, position: number): Promise<Buffer> {
    const bytes = await readFile(file)
    bytes[bytes.length + position] = (bytes.at(position) as number) ^ 1
    await writeFile(file, bytes)
    return bytes
  }

  test('finds nothing in a folder as it was written', async () => {
    await expected()
    expect(await LatentWriter.verify(at('one'), plan, { values: true })).toEqual([])
  })

  test('names every file that differs and why, and changes nothing', async () => {
    await expected()
    await damage(at(`one/${shardName(0)}`), -1)
    await rm(at(`one/${shardName(3)}`))
    await damage(at('one/latents_stats.json'), -9)
    await rm(at('one/latents_stats.pt'))
    // A shard that was replaced together with its checksum.
    const manifest = JSON.parse(await readFile(at('one/manifest.json'), 'utf8'))
    const bytes = await damage(at(`one/${shardName(1)}`), -1)
    manifest.shards[1].sha256 = createHash('sha256').update(bytes).digest('hex')
    await writeFile(at('one/manifest.json'), JSON.stringify(manifest))
    await removeChecksums(at('one/manifest.json'))
    const before = await checksums(at('one'))
    expect(await LatentWriter.verify(at('one'), plan, { values: true })).toEqual([
      { file: shardName(0), reason: 'its checksum is wrong' },
      { file: shardName(1), reason: 'its values are not those that were encoded' },
      { file: shardName(3), reason: 'it is missing' },
      { file: 'latents_stats.json', reason: "it does not have the shards' statistics" },
      { file: 'latents_stats.pt', reason: 'it is missing' }
    ])
    expect(await checksums(at('one'))).toEqual(before)
    expect(await work(at('one'), { values: true })).toEqual([0, 1, 3])
    await rm(at('again'), { recursive: true, force: true })
    await work(at('again'))
    expect(await checksums(at('one'))).toEqual(await checksums(at('again')))
  })

  test('each rank names its own shards, and rank 0 what an unfinished folder lacks', async () => {
    await work(at('part'), { shards: 3 })
    const verify = (rank: number) => LatentWriter.verify(at('part'), plan, { ranks: ranksOf(rank, 2) })
    expect(await verify(0)).toEqual([
      { file: shardName(4), reason: 'it is missing' },
      { file: 'manifest.json', reason: 'it does not have all shards yet' }
    ])
    expect((await verify(1)).map(({ file }) => file)).toEqual([shardName(3), shardName(5)])
    await expect(LatentWriter.verify(root, plan)).rejects.toThrow('has no manifest.json: nothing was encoded there')
  })
})
