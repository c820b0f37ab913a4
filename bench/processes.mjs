/** Runs our workers and the peers' programs. */

import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../lib/files/cache.mjs'
import { Failure } from '../lib/setup/report.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** A folder of ../shared: the default where no environment variable names another. @param {string} name */
export const beside = (name) => join(here, '..', '..', 'shared', name)

/** A program was ended because the time for all of them is over. */
export class TimeOver extends Error {}

/** @param {Record<string, any> & { deadline?: () => number }} options `deadline`: of `performance.now()`, for all programs together */
export function processes({ weights, threads, deadline = () => Number.POSITIVE_INFINITY }) {
  // So that what was started ends with us.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
  const environment = {
    ...process.env,
    MACTOK_WEIGHTS: resolve(weights),
    TORCHINDUCTOR_CACHE_DIR: join(cacheFolder(), 'bench-inductor'),
    OMP_NUM_THREADS: String(threads)
  }

  /**
   * Runs a program: the JSON in its last line of output, and the seconds from start to end.
   * @param {string} command
   * @param {string[]} parameters
   * @returns {Promise<any>}
   */
  function run(command, parameters) {
    const started = performance.now()
    return new Promise((done, failed) => {
      const left = deadline() - started
      if (left <= 0) return failed(new TimeOver())
      // In a group of its own: loaders and compilers that it started end with it.
      const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'], env: environment, detached: true })
      const end = () => child.pid && process.kill(-child.pid, 'SIGKILL')
      process.once('exit', end)
      const timer = Number.isFinite(left) ? setTimeout(end, left) : undefined
      const output = { stdout: '', stderr: '' }
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output.stdout += text
      })
      child.stderr.setEncoding('utf8').on('data', (text) => {
        output.stderr += text
      })
      child.on('error', failed).on('close', (code) => {
        clearTimeout(timer)
        process.removeListener('exit', end)
        if (performance.now() >= deadline()) return failed(new TimeOver())
        const wall = (performance.now() - started) / 1000
        const last = (text, lines) => text.trim().split('\n').slice(-lines).join('\n')
        if (code !== 0) failed(new Failure(`${parameters[0]} ended with ${code}:\n${last(output.stderr, 12)}`))
        else done({ ...JSON.parse(last(output.stdout, 1) || '{}'), wall })
      })
    })
  }

  return {
    run,
    /** @param {string} name @param {string[]} rest */
    worker: (name, ...rest) => run(process.execPath, [join(here, 'workers', `${name}.mjs`), ...rest]),
    /** @param {string} python @param {string} name @param {string[]} rest */
    peer: (python, name, ...rest) => run(python, [join(here, 'peers', `${name}.py`), ...rest])
  }
}
