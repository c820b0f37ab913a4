// Allows one set-up at a time, by a lock file with its holder's process id.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../files/alive.mjs'
import { say } from './report.mjs'

/**
 * Runs the body while no other process holds `path`; waits for one that does. A dead holder's lock is taken over.
 * @template T
 * @param {string} path
 * @param {() => T | Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock(path, body) {
  mkdirSync(dirname(path), { recursive: true })
  for (let waited = false; !take(path); waited = true) {
    if (!waited) say(`waiting for another set-up (process ${holder(path)}; ${path})`)
    await sleep(200)
  }
  try {
    return await body()
  } finally {
    rmSync(path, { force: true })
  }
}

/** @param {string} path */
function take(path) {
  // Linked, so that the lock appears with its content.
  const own = `${path}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    rmSync(own)
  }
  const pid = holder(path)
  if (pid === undefined || isAlive(pid)) return false
  rmSync(path, { force: true })
  return take(path)
}

/** @param {string} path */
function holder(path) {
  try {
    return Number(readFileSync(path, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

/** @param {unknown} error */
const codeOf = (error) => /** @type {NodeJS.ErrnoException} */ (error).code
