/** Flips single bits of runs' records, checkpoints and shards: each must be an error, or change nothing that is read. */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copy, dist, pick, randomNumbers } from './place.mjs'

const { findCheckpoints, verifyCheckpoint } = await import(new URL('runs/checkpoint.js', dist).href)
const { findTokenizer } = await import(new URL('tokenizer/folder.js', dist).href)
const { openLatents } = await import(new URL('latents/index.js', dist).href)
const { readAnyRun } = await import(new URL('report/run-folder.js', dist).href)

/** @param {string} file */
const hash = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** Names of fields by kind, as they are before any bit is flipped. @type {Record<string, string[]>} */
const known = {}
/** The fields that are read: `sha256` under another name is not. @param {string} kind @param {Record<string, unknown>} content */
const readFields = (kind, content) => {
  known[kind] ??= Object.keys(content).filter((name) => name !== 'sha256')
  return known[kind].map((name) => [name, content[name]])
}

/** What a load reads. @param {string} run */
async function readModel(run) {
  const { config, weights } = await findTokenizer(run, false, { verify: true })
  return JSON.stringify([config, hash(weights)])
}

/** What a resumed run starts from. @param {string} run */
async function readState(run) {
  const { newest } = await findCheckpoints(run, verifyCheckpoint)
  const state = newest?.state ?? {}
  const files = Object.keys(state.files ?? {}).map((name) => [name, hash(join(newest.folder, name))])
  return JSON.stringify([readFields('state', state), files])
}

/** What a resumed run takes from its record. @param {string} run */
async function readRun(run) {
  return JSON.stringify(readFields('record', await readAnyRun(run)))
}

/** What a training reads of shards. @param {string} folder */
async function readShards(folder) {
  const shards = await openLatents(folder)
  try {
    const rows = Array.from({ length: shards.count }, (_, row) => row)
    const { latents, labels } = await shards.rows(rows)
    const flipped = shards.flips ? (await shards.rows(rows, { flip: true })).latents : []
    const statistics = await shards.statistics()
    return JSON.stringify([
      hashOf(latents),
      hashOf(labels),
      hashOf(flipped),
      statistics.mean,
      statistics.std,
      shards.classes,
      shards.names()
    ])
  } finally {
    await shards.close()
  }
}

/** @param {ArrayLike<number>} values */
const hashOf = (values) =>
  createHash('sha256')
    .update(JSON.stringify(Array.from(values)))
    .digest('hex')

/**
 * @param {string} place
 * @param {{ flips: number, seed: number }} options
 */
export async function flipBits(place, { flips, seed }) {
  const random = randomNumbers(seed)
  const warn = process.emitWarning
  process.emitWarning = () => {}
  const work = join(place, 'flipped')
  /** @type {[string, string, (folder: string) => string, (folder: string) => Promise<string>, RegExp][]} */
  const targets = [
    ['load', 'run', newest, readModel, /./],
    ['resume', 'run', newest, readState, /./],
    ['record', 'run', (folder) => folder, readRun, /^run\.json$/],
    ['shards', 'shards', (folder) => folder, readShards, /./],
    ['manifest', 'shards', (folder) => folder, readShards, /\.json$/]
  ]
  /** @type {Record<string, object>} */
  const results = {}
  let isSafe = true
  for (const [name, part, chosen, read, which] of targets) {
    rmSync(work, { recursive: true, force: true })
    copy(place, part, work)
    const expected = await read(work)
    const folder = chosen(work)
    // An older checkpoint is read, with a warning, where the newest is refused.
    const older = folder === work ? null : await withoutFolder(folder, () => read(work))
    const files = readdirSync(folder).filter((file) => which.test(file) && file !== 'train.lock')
    const result = { flips, refused: 0, unread: 0, silent: 0 }
    /** @type {Record<string, number>} */
    const silent = {}
    for (let i = 0; i < flips; i++) {
      const file = /** @type {string} */ (files[pick(random, files.length)])
      const path = join(folder, file)
      const bytes = readFileSync(path)
      const bit = pick(random, bytes.length * 8)
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = /** @type {number} */ (bytes[bit >> 3]) ^ (1 << (bit & 7))
      writeFileSync(path, changed)
      try {
        const found = await read(work)
        if (found === older) result.refused += 1
        else if (found === expected) result.unread += 1
        else {
          result.silent += 1
          silent[file] = (silent[file] ?? 0) + 1
        }
      } catch {
        result.refused += 1
      }
      writeFileSync(path, bytes)
    }
    isSafe &&= result.silent === 0
    results[name] = { ...result, ...(result.silent > 0 && { in: silent }) }
  }
  process.emitWarning = warn
  return { ...results, passed: isSafe }
}

/**
 * Calls `read` while a folder is away.
 * @param {string} folder
 * @param {() => Promise<string>} read
 */
async function withoutFolder(folder, read) {
  renameSync(folder, `${folder}.away`)
  const found = await read()
  renameSync(`${folder}.away`, folder)
  return found
}

/** The newest checkpoint of a run. @param {string} run */
function newest(run) {
  const names = readdirSync(join(run, 'checkpoints')).filter((name) => name.startsWith('step-'))
  return join(run, 'checkpoints', /** @type {string} */ (names.sort().at(-1)))
}
