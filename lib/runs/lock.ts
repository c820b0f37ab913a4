/** The lock of a run folder: one training at a time writes it. */

import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRecord } from '../checks.js'
import { MactokError } from '../errors.js'
import { isAlive, readStatus } from '../files/alive.mjs'
import { makeFolder, notWritable } from '../files/make-folder.js'
import { readText } from '../files/read.js'

const fileName = 'train.lock'

/** Who holds a lock. */
interface Owner {
  pid: number
  host: string
  /** When its process started, as the system counts it; null where that is unknown. */
  started: string | null
  /** When it locked the folder. */
  since: string
}

export interface RunLock extends AsyncDisposable {
  /** The owner of a lock that was left behind and taken over, in words. */
  readonly takenOver: string | null
  /** Whether the folder is still there, with this lock. */
  isHeld(): Promise<boolean>
}

/** Identifies the start of a process, by which a new one with the same id is told from it; null where the system does not say. */
async function readStart(pid: number): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const start = readStatus(pid)?.[19]
    return start === undefined ? null : `${boot.trim()}/${start}`
  } catch {
    return null
  }
}

/** Whether a lock's process is gone; one on another host never is, as far as can be seen from here. */
async function isStale({ pid, host, started }: Owner): Promise<boolean> {
  if (host !== hostname()) return false
  if (!isAlive(pid)) return true
  const start = await readStart(pid)
  return started !== null && start !== null && started !== start
}

function parseOwner(text: string): Owner | null {
  try {
    const content: unknown = JSON.parse(text)
    const isOwner = isRecord(content) && Number.isInteger(content.pid) && typeof content.host === 'string'
    return isOwner ? (content as unknown as Owner) : null
  } catch {
    return null
  }
}

const describe = ({ pid, host, since }: Owner) => `process ${pid} on ${host} (since ${since})`

/**
 * Replaces a stale lock, if it still is the one that was read. Only who has the claim to that very lock may, and the claim becomes the
 * new lock: there is no moment without one, in which a third process could lock the folder.
 * @returns whether the folder is locked by this call
 */
async function replaceStale(file: string, stale: string, text: string): Promise<boolean> {
  const claim = `${file}.${createHash('sha256').update(stale).digest('hex').slice(0, 16)}`
  if (!(await create(claim, text))) {
    const other = await readLock(claim)
    if (other && (!other.owner || (await isStale(other.owner)))) await rm(claim, { force: true })
    await sleep(20)
    return false
  }
  if ((await readText(file)) === stale) {
    await rename(claim, file)
    return true
  }
  // Another process was faster and holds it now.
  await rm(claim)
  return false
}

async function create(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    // A full disk leaves it empty.
    if ((error as NodeJS.ErrnoException).syscall === 'write') await rm(file, { force: true })
    throw await notWritable(dirname(file), error)
  }
}

/** Reads a lock or a claim; null where there is none, and without an owner where what was left of it says none. */
async function readLock(file: string): Promise<{ text: string; owner: Owner | null } | null> {
  let text = await readText(file)
  if (text !== null && !parseOwner(text)) {
    // It may be half written.
    await sleep(100)
    text = await readText(file)
  }
  return text === null ? null : { text, owner: parseOwner(text) }
}

/**
 * Locks a run folder for a training; creates the folder. A lock that a crashed process left behind is taken over.
 * @throws {MactokError} ERR_IN_USE while another training has it, ERR_FORMAT when the folder cannot be written
 */
export async function lockRun(dir: string): Promise<RunLock> {
  const file = join(dir, fileName)
  const own: Owner = {
    pid: process.pid,
    host: hostname(),
    started: await readStart(process.pid),
    since: new Date().toISOString()
  }
  const text = `${JSON.stringify(own)}\n`
  const isNew = (await makeFolder(dir)) !== undefined
  let takenOver: string | null = null
  while (!(await create(file, text))) {
    const found = await readLock(file)
    // Released meanwhile.
    if (found === null) continue
    const { owner } = found
    if (owner && !(await isStale(owner))) {
      throw new MactokError(
        'ERR_IN_USE',
        `${dir} is in use: ${describe(owner)} trains in it, and ${describe(own)} would too. Wait for it, stop it, or choose another folder; if it is gone, delete ${file}`
      )
    }
    takenOver = owner ? describe(owner) : 'an unknown process'
    if (await replaceStale(file, found.text, text)) break
  }

  // A second Ctrl-C ends the process at once.
  const removeAtExit = () => {
    try {
      if (readFileSync(file, 'utf8') === text) rmSync(file)
    } catch {
      // Nothing is left to do: the next training takes it over.
    }
  }
  process.on('exit', removeAtExit)
  return {
    takenOver,
    isHeld: async () => (await readText(file)) === text,
    [Symbol.asyncDispose]: async () => {
      process.off('exit', removeAtExit)
      removeAtExit()
      // Nothing was written: the run was refused.
      if (isNew) await rmdir(dir).catch(() => {})
    }
  }
}
