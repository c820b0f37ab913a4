// Allows one set-up at a time, and one download of LibTorch.
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cacheFolder } from '../files/cache.mjs'
import { waitForLock } from '../files/lock.mjs'
import { say } from './report.mjs'

/**
 * Runs the body while no other process has the lock at `path`; waits for one that has.
 * @template T
 * @param {string} path
 * @param {string} what it is that others do with the lock, such as `another set-up`
 * @param {() => T | Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withLock(path, what, body) {
  mkdirSync(dirname(path), { recursive: true })
  const lock = await waitForLock(path, what, { onWait: say })
  try {
    return await body()
  } finally {
    lock.release()
  }
}

/**
 * Runs the body while no other process fetches or unpacks a LibTorch into the cache.
 * @template T
 * @param {() => T | Promise<T>} body
 */
export const withFetchLock = (body) => withLock(join(cacheFolder(), 'fetch.lock'), 'another download of LibTorch', body)
