/** An hour of everything in one process, whose memory, handles and descriptors must stay flat; and long runs with every term of the loss. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('soak-worker.mjs', import.meta.url))

/**
 * Runs a worker on one thread; the last line of its output is its result.
 * @param {string[]} args
 * @returns {Promise<Record<string, any>>}
 */
function runWorker(args) {
  const env = { ...process.env, OMP_NUM_THREADS: '1', UV_THREADPOOL_SIZE: '2' }
  const child = spawn(process.execPath, ['--expose-gc', script, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let tail = ''
  child.stdout.on('data', (text) => {
    tail = (tail + text).slice(-100_000)
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(tail.trim().split('\n').at(-1) ?? ''))
      else resolve({ failed: `ended with ${signal ?? code}`, passed: false })
    })
  })
}

/**
 * @param {string} place
 * @param {{ minutes: number, percent: number }} options - percent that anything may grow
 */
export const soak = (place, { minutes, percent }) => runWorker([place, 'rounds', String(minutes), String(percent)])

/**
 * @param {string} place
 * @param {{ steps: number }} options
 */
export async function trainLong(place, { steps }) {
  /** @type {Record<string, any>} */
  const results = {}
  for (const precision of ['fp32', 'bf16']) {
    results[precision] = await runWorker([place, precision, String(steps)])
  }
  return { ...results, passed: Object.values(results).every(({ passed }) => passed) }
}
