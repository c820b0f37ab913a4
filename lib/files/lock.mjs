// A lock that one process has at a time: a file that names its owner. Plain JavaScript, because the set-up needs it before TypeScript is
// compiled.
import { createHash } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, readStatus } from './alive.mjs'

/**
 * Who has a lock.
 * @typedef {object} Owner
 * @property {number} pid
 * @property {string} host
 * @property {string | null} started when its process started, as the system counts it; null where that is unknown
 * @property {string} since when it took the lock
 */

/**
 * @typedef {object} Lock
 * @property {string | null} takenOver the owner of a lock that was left behind and taken over, in words
 * @property {() => Promise<boolean>} isHeld whether the file is still there, with this lock
 * @property {() => void} release
 */

/** @typedef {(cause: unknown) => unknown} Explain makes the error to throw where a lock cannot be written */

/** This process, as the owner of a lock that it takes now. @returns {Owner} */
export const currentOwner = () => ({
  pid: process.pid,
  host: hostname(),
  started: readStart(process.pid),
  since: new Date().toISOString()
})

/** @param {Owner} owner */
export const describeOwner = ({ pid, host, since }) => `process ${pid} on ${host} (since ${since})`

/**
 * Takes a lock, unless another process has it. One that a crashed process left behind is taken over.
 * @param {string} path in a folder that exists
 * @param {Explain} [explain]
 * @returns {Promise<{ lock: Lock, owner?: undefined } | { lock?: undefined, owner: Owner }>} `owner`: the process that has it
 */
export async function tryLock(path, explain = (cause) => cause) {
  const text = `${JSON.stringify(currentOwner())}\n`
  /** @type {Create} */
  const create = async (file) => {
    try {
      writeFileSync(file, text, { flag: 'wx' })
      return true
    } catch (error) {
      const { code, syscall } = /** @type {NodeJS.ErrnoException} */ (error)
      if (code === 'EEXIST') return false
      // A full disk leaves it empty.
      if (syscall === 'write') rmSync(file, { force: true })
      throw await explain(error)
    }
  }
  const { owner, takenOver } = await take(path, create)
  if (owner) return { owner }

  const release = () => {
    process.off('exit', release)
    try {
      if (readText(path) === text) rmSync(path)
    } catch {
      // Nothing is left to do: the next process takes it over.
    }
  }
  // A second Ctrl-C ends the process at once.
  process.on('exit', release)
  return { lock: { takenOver, isHeld: async () => readText(path) === text, release } }
}

/**
 * Takes a lock, and waits while another process has it.
 * @param {string} path in a folder that exists
 * @param {string} what it is that others do with the lock, such as `another set-up`
 * @param {{ onWait?: (message: string) => void, signal?: AbortSignal, explain?: Explain }} [options] `onWait` receives each owner that is
 *   waited for, in words
 * @returns {Promise<Lock>}
 * @throws {Error} an `AbortError` of the signal
 */
export async function waitForLock(path, what, { onWait, signal, explain } = {}) {
  for (let told = ''; ; ) {
    const result = await tryLock(path, explain)
    if (result.lock) return result.lock
    const waiting = `waiting for ${what}: ${describeOwner(result.owner)}`
    // Whether a process of another host is gone is not seen from here.
    const message = isHere(result.owner) ? waiting : `${waiting}; if that process is gone, delete ${path}`
    if (message !== told) onWait?.(message)
    told = message
    await sleep(200, undefined, { signal })
  }
}

/** @typedef {(file: string) => Promise<boolean>} Create writes the owner into a new file; false where there is one */

/**
 * Creates the lock, or replaces a stale one.
 * @param {string} path
 * @param {Create} create
 * @returns {Promise<{ owner: Owner, takenOver?: undefined } | { owner?: undefined, takenOver: string | null }>} `owner`: who has it
 *   instead
 */
async function take(path, create) {
  while (!(await create(path))) {
    const found = await read(path)
    if (found?.owner && !isStale(found.owner)) return { owner: found.owner }
    if (found && (await replaceStale(path, found.text, create)))
      return { takenOver: found.owner ? describeOwner(found.owner) : 'an unknown process' }
    // Released meanwhile, or replaced by another process.
    await sleep(20)
  }
  return { takenOver: null }
}

/**
 * Replaces a stale lock, if it still is the one that was read. Only who has the claim to that very lock may, and the claim, a lock itself,
 * becomes the new lock: there is no moment without one, in which a third process could take it.
 * @param {string} path
 * @param {string} stale the lock's text
 * @param {Create} create
 * @returns {Promise<boolean>} whether this call replaced it
 */
async function replaceStale(path, stale, create) {
  const claim = `${path}.${createHash('sha256').update(stale).digest('hex').slice(0, 16)}`
  const { owner } = await take(claim, create)
  if (owner) return false
  if (readText(path) === stale) {
    renameSync(claim, path)
    return true
  }
  // Another process was faster and has it now.
  rmSync(claim)
  return false
}

/**
 * Reads a lock or a claim; null where there is none, and without an owner where what was left of it names none.
 * @param {string} path
 */
async function read(path) {
  let text = readText(path)
  if (text !== null && !parseOwner(text)) {
    // It may be half written.
    await sleep(100)
    text = readText(path)
  }
  return text === null ? null : { text, owner: parseOwner(text) }
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')) return null
    throw error
  }
}

/** @param {string} text @returns {Owner | null} */
function parseOwner(text) {
  try {
    const content = JSON.parse(text)
    return Number.isInteger(content?.pid) && typeof content.host === 'string' ? content : null
  } catch {
    return null
  }
}

/** @param {Owner} owner */
const isHere = ({ host }) => host === hostname()

/** Whether a lock's process is gone; one on another host never is, as far as can be seen from here. @param {Owner} owner */
function isStale(owner) {
  if (!isHere(owner)) return false
  if (!isAlive(owner.pid)) return true
  const start = readStart(owner.pid)
  return owner.started !== null && start !== null && owner.started !== start
}

/**
 * Identifies the start of a process, by which a new one with the same id is told from it; null where the system does not say.
 * @param {number} pid
 */
function readStart(pid) {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    const start = readStatus(pid)?.[19]
    return start === undefined ? null : `${boot.trim()}/${start}`
  } catch {
    return null
  }
}
