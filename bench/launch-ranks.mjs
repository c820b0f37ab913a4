/** Runs `workers/ranks.mjs` by some processes. */

import { fileURLToPath } from 'node:url'
import { launch } from '../dist/distributed/launch.js'

const worker = fileURLToPath(new URL('workers/ranks.mjs', import.meta.url))

/**
 * What the first of the processes prints.
 * @param {number} nproc
 * @param {object} spec
 * @returns {Promise<any>}
 */
export async function launchRanks(nproc, spec) {
  let line = ''
  const job = launch({
    command: [process.execPath, worker, JSON.stringify(spec)],
    nproc,
    onLine: ({ stream, text }) => {
      if (stream === 'stdout') line = text
      else console.error(text)
    }
  })
  const { code } = await job.result
  if (code !== 0) throw new Error(`${JSON.stringify(spec)} by ${nproc} processes ended with exit code ${code}`)
  return JSON.parse(line)
}
