/**
 * Storage that fails: full and read-only disks (a small tmpfs, which needs root), and errors, cut, slow and odd operations (shim.c). A
 * command must fail by name and leave nothing broken under final names, or do as without the fault; run again without it, it must come to
 * the same results.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { differences, findBroken, fingerprint, isRemains, listFiles, stamps } from './outcome.mjs'
import { commands, inParallel, mactok, must, pick, runWhole } from './place.mjs'
import { changes, readPoints, withShim } from './shim.mjs'

/** What an error must say. */
const reasons =
  /EIO|i\/o error|input\/output error|ENOSPC|no space|disk is full|EDQUOT|quota|ESTALE|stale|EXDEV|cross-device|EROFS|read-only|was removed|ENOENT|no such file/i

/**
 * Faults by name: operations, what happens, and when: at one operation while results are written, at all from one on, at one while a
 * command that was finished runs again, or at one on its inputs.
 * @type {Record<string, { operations: readonly string[], action: string, when?: 'from' | 'again' | 'inputs' }>}
 */
const faults = {
  'EIO in create': { operations: ['create'], action: 'EIO' },
  'EIO in write': { operations: ['write'], action: 'EIO' },
  'EIO in fsync': { operations: ['sync'], action: 'EIO' },
  'stale rename': { operations: ['rename'], action: 'ESTALE' },
  'rename between devices': { operations: ['rename'], action: 'EXDEV' },
  'vanished folder': { operations: changes, action: 'vanish' },
  quota: { operations: ['write'], action: 'EDQUOT', when: 'from' },
  'full disk': { operations: ['write'], action: 'ENOSPC', when: 'from' },
  'EIO in open': { operations: ['open'], action: 'EIO', when: 'again' },
  'EIO in read': { operations: ['read'], action: 'EIO', when: 'again' },
  'EIO in readdir': { operations: ['list'], action: 'EIO', when: 'again' },
  'EIO in stat': { operations: ['stat'], action: 'EIO', when: 'again' },
  'EIO in inputs': { operations: ['open', 'read'], action: 'EIO', when: 'inputs' }
}
/** Faults that must change no result. */
const harmless = {
  'short reads and writes': 'any * 1+ short',
  'slow disk': 'any * 1+ slow',
  'clock that runs backwards': 'clock * 1+ back',
  'folders that stay': 'rmdir * 1+ ENOTEMPTY'
}
const inputs = ['images', 'run', 'shards', 'generator']

/**
 * @typedef {object} Case
 * @property {string} name - the command
 * @property {string} fault - as in shim.c
 * @property {string} [rank]
 * @property {string} [folder] - of the fault, if it is not what the command writes
 * @property {boolean} [isFinished] - the command runs again
 */

/**
 * @param {string} place
 * @param {string} name - of a command
 * @param {{ rounds: number | null, random: () => number, library: string | null }} options - rounds of all faults; null: the command's share
 *   of them, each once
 */
export async function breakOperations(place, name, { rounds, random, library }) {
  if (!library) return { skipped: 'it needs Linux and a C compiler' }
  const names = Object.keys(commands(place))
  const result = { cases: 0, named: 0, unaffected: 0, unnamed: 0, broken: 0, rewritten: 0, different: 0, remains: 0 }
  for (let round = 0; round < (rounds ?? 1); round++) {
    for (const [k, kind] of [...Object.keys(faults), ...Object.keys(harmless)].entries()) {
      if (rounds === null && names[k % names.length] !== name) continue
      const chosen = await choose(place, name, kind, { library, random })
      if (chosen) await breakOnce(place, kind, chosen, library, result)
    }
  }
  return result
}

/** Chooses where a command meets a fault; null where it cannot. @param {string} place @param {string} name @param {string} kind @param {{ library: string, random: () => number }} options @returns {Promise<Case | null>} */
async function choose(place, name, kind, { library, random }) {
  const same = harmless[/** @type {keyof typeof harmless} */ (kind)]
  if (same) return { name, fault: same }
  const { operations, action, when } = /** @type {(typeof faults)[string]} */ (faults[kind])
  const { out, args, log, whole } = await runWhole(place, name, library)
  if (when === 'inputs') {
    const read = inputs.map((input) => join(place, input)).filter((input) => args.includes(input))
    const operation = operations[pick(random, operations.length)]
    return {
      name,
      fault: `${operation} * ${1 + pick(random, 10)} ${action}`,
      folder: `${read[pick(random, read.length)]}`
    }
  }
  const isFinished = when === 'again'
  const again = `${log} again`
  if (isFinished) {
    for (const path of [out, again]) rmSync(path, { recursive: true, force: true })
    cpSync(whole, out, { recursive: true })
    await must(args, withShim(library, out, { log: again }))
  }
  const points = readPoints(isFinished ? again : log, operations)
  if (points.length === 0) return null
  const { rank, operation, pattern, count } = /** @type {import('./shim.mjs').Point} */ (
    points[pick(random, points.length)]
  )
  const number = `${1 + pick(random, count)}${when === 'from' ? '+' : ''}`
  return { name, fault: `${operation} ${when === 'from' ? '*' : pattern} ${number} ${action}`, rank, isFinished }
}

/**
 * Runs a command with a fault, and, where it failed, without.
 * @param {string} place
 * @param {string} kind
 * @param {Case} chosen
 * @param {string} library
 * @param {Record<string, number>} result
 */
async function breakOnce(place, kind, { name, fault, rank, folder, isFinished }, library, result) {
  const { out, args, whole } = await runWhole(place, name, library)
  const count = (/** @type {string} */ what, /** @type {string} */ why) => {
    result[what] = (result[what] ?? 0) + 1
    if (why) process.stdout.write(`${kind}: ${name} (${fault}): ${what}: ${why}\n`)
  }
  const away = `${out}.away`
  for (const path of [out, away]) rmSync(path, { recursive: true, force: true })
  if (isFinished) cpSync(whole, out, { recursive: true })
  const before = stamps(out)
  const env = withShim(library, folder ?? out, { fault, ...(rank && { rank }) })
  const done = await mactok(args, { env })
  result.cases = (result.cases ?? 0) + 1
  // Everything was written before the folder was moved away.
  const isWhole = done.code === 0 && existsSync(away) && differences(fingerprint(whole), fingerprint(away)).length === 0
  rmSync(away, { recursive: true, force: true })
  if (isWhole) return count('unaffected', '')
  if (done.code === 0) count('unaffected', '')
  else if (reasons.test(done.output) && !(kind in harmless)) count('named', '')
  else count('unnamed', `${done.code}: ${done.output.slice(-500)}`)
  for (const file of await findBroken(out)) count('broken', file)
  if (isFinished && stamps(out) !== before) count('rewritten', done.output.slice(-300))
  const again = done.code === 0 ? done : await mactok(args)
  const different = again.code === 0 ? differences(fingerprint(whole), fingerprint(out)) : [again.output.slice(-500)]
  if (different.length > 0) count('different', `${different.join(', ')}; ${done.output.slice(-300)}`)
  if (fault.includes('rmdir')) return
  for (const file of listFiles(out).filter(isRemains)) count('remains', file)
}

/** Files that NFS keeps under such names while they are open, in every folder: they are no inputs and no results. @param {string} place @param {string | null} library */
export async function leaveNfsFiles(place, library) {
  if (!library) return { skipped: 'it needs Linux and a C compiler' }
  const addTo = (/** @type {string} */ root) =>
    [root, ...listFolders(root)].map((folder) => {
      const file = join(folder, '.nfs000000000004d2000000a1')
      writeFileSync(file, 'removed, but still open')
      return file
    })
  const left = inputs.flatMap((input) => addTo(join(place, input)))
  const result = { commands: 0, failed: 0, different: 0 }
  await inParallel(
    Object.keys(commands(place)).map((command) => async () => {
      const { out, args, whole } = await runWhole(place, command, library)
      rmSync(out, { recursive: true, force: true })
      cpSync(whole, out, { recursive: true })
      addTo(out)
      const done = await mactok(args)
      const different = differences(fingerprint(whole), fingerprint(out))
      result.commands += 1
      if (done.code !== 0) result.failed += 1
      if (different.length > 0) result.different += 1
      if (done.code !== 0 || different.length > 0)
        process.stdout.write(`.nfs: ${command}: ${different.join(', ')}; ${done.output.slice(-500)}\n`)
    })
  )
  for (const file of left) rmSync(file)
  return result
}

/** Images whose names differ by case alone, decoded to a disk that does not mind case. @param {string} place @param {string | null} library */
export async function ignoreCase(place, library) {
  if (!library) return { skipped: 'it needs Linux and a C compiler' }
  const [images, shards, out] = ['Images', 'Shards', 'Decoded'].map((name) => join(place, 'case', name))
  rmSync(join(place, 'case'), { recursive: true, force: true })
  const names = ['Dog/1.png', 'dog/1.png', 'dog/1.PNG', 'dog/a.png', 'dog/A.png']
  for (const [i, name] of names.entries()) {
    mkdirSync(dirname(join(`${images}`, name)), { recursive: true })
    const background = { r: 40 * i, g: 0, b: 0 }
    await sharp({ create: { width: 20, height: 20, channels: 3, background } }).toFile(join(`${images}`, name))
  }
  const run = join(place, 'run')
  await must(['encode', run, '--data', `${images}`, '--out', `${shards}`, '--device', 'cpu'])
  const decode = ['decode', run, '--latents', `${shards}`, '--device', 'cpu', '--out']
  await must([...decode, `${out} whole`])
  await must([...decode, `${out}`], withShim(library, `${out}`, { fault: 'any * 1+ fold' }))
  const files = listFiles(`${out}`)
  const contents = (/** @type {string} */ folder) => Object.values(fingerprint(folder)).sort().join()
  const isEqual = contents(`${out}`) === contents(`${out} whole`)
  return {
    images: names.length,
    files: files.length,
    folded: files.every((file) => file === file.toLowerCase()),
    isEqual
  }
}

/** @param {string} root */
const listFolders = (root) =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))

/** Full and read-only disks. @param {string} place */
export async function breakDisks(place) {
  const disk = join(place, 'disk')
  mkdirSync(disk, { recursive: true })
  const mount = (/** @type {string[]} */ ...args) => execFileSync('mount', args, { stdio: 'ignore' })
  const { tokenizer, generator, encode, decode } = commands(place)
  const run = join(place, 'run')
  const calls = {
    tokenizer,
    generator,
    encode,
    decode,
    reconstruct: (/** @type {string} */ out) => [
      'reconstruct',
      run,
      '--data',
      join(place, 'images'),
      '--out',
      join(out, 'grid.png')
    ],
    report: (/** @type {string} */ out) => ['report', run, '--out', join(out, 'report.html')]
  }
  /** @type {Record<string, object>} */
  const results = {}
  for (const kind of ['full', 'read-only']) {
    for (const [name, call] of Object.entries(calls)) {
      try {
        mount('-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', disk)
      } catch {
        return { skipped: 'mounting a tmpfs needs root' }
      }
      try {
        const isSmall = name === 'reconstruct' || name === 'report'
        if (kind === 'full') writeFileSync(join(disk, 'filler'), Buffer.alloc(isSmall ? 610_000 : 560_000))
        else mount('-o', 'remount,ro', disk)
        const { code, output } = await mactok(/** @type {(out: string) => string[]} */ (call)(join(disk, 'out')))
        const isNamed = reasons.test(output)
        results[`${kind} ${name}`] = { code, named: isNamed, broken: (await findBroken(join(disk, 'out'))).length }
        if (code === 0 || !isNamed) process.stdout.write(`${kind} ${name}: ${code} ${output.slice(-300)}\n`)
      } finally {
        execFileSync('umount', [disk])
      }
    }
  }
  rmSync(disk, { recursive: true })
  return results
}
