/** Fuzzes a parser in a child, which must neither crash nor take more than 5 s or 2 GiB for an input; the file that does is kept. */

import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsers } from './parsers.mjs'
import { withCache } from './place.mjs'

const script = fileURLToPath(new URL('fuzz-parser.mjs', import.meta.url))
const longest = 5_000
const mostMegabytes = 2_048
/** Files lie in memory, where the system offers that. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/**
 * @param {string} place
 * @param {string} name
 * @param {{ inputs: number, seed: number, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<object>}
 */
export async function fuzz(place, name, { inputs, seed, env = {} }) {
  const work = mkdtempSync(join(memory, 'fuzzed-'))
  const found = join(place, 'found')
  mkdirSync(found, { recursive: true })
  const folder = join(work, 'files')
  const settings = JSON.stringify({ place, name, inputs, seed, folder, found })
  const child = spawn(process.execPath, [script, settings], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...(await withCache(join(work, 'cache'))), ...env }
  })
  let output = ''
  child.stdout.on('data', (text) => (output += text))
  const file = join(folder, /** @type {import('./parsers.mjs').Parser} */ (parsers[name]).name)
  // The file is written when an input begins.
  let isHanging = false
  const watch = setInterval(() => {
    const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
    isHanging ||= Date.now() - since > longest
    if (isHanging) child.kill('SIGKILL')
  }, 1_000)
  const code = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)))
  clearInterval(watch)
  try {
    const result = code === 0 ? JSON.parse(output) : {}
    if (code === 0 && result.megabytes < mostMegabytes) return { passed: result.raw === 0, ...result }
    const input = join(found, `${name} ${isHanging ? 'hang' : code}`)
    if (existsSync(file)) copyFileSync(file, input)
    return { passed: false, ...result, failed: isHanging ? 'hang' : code === 0 ? 'memory' : code, input, seed }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
