/** Calls the public API, as its types declare it, with wrong values, in a child that must neither abort nor hang. */

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withCache } from './place.mjs'
import { publicMembers } from './surface.mjs'

const script = fileURLToPath(new URL('abuse-process.mjs', import.meta.url))
/** Longest silence; a call may take 20 s. */
const longest = 60_000

/**
 * @param {string} place
 * @param {{ calls: number, concurrent: number, seed: number }} options
 * @returns {Promise<object>}
 */
export async function abuse(place, { calls, concurrent, seed }) {
  const [scratch, progress, report, settings] = ['', '.txt', '.json', '-settings.json'].map(
    (end) => `${join(place, 'abuse')}${end}`
  )
  for (const path of [scratch, progress, report]) rmSync(String(path), { recursive: true, force: true })
  const members = publicMembers()
  writeFileSync(
    String(settings),
    JSON.stringify({ place, scratch, progress, report, seed, calls, concurrent, members })
  )
  const child = spawn(process.execPath, [script, String(settings)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Nothing leaves this machine.
    env: { ...(await withCache(join(place, 'abuse-cache'))), HF_ENDPOINT: 'http://127.0.0.1:1' }
  })
  let errors = ''
  child.stderr.on('data', (text) => (errors = (errors + text).slice(-4_000)))
  const last = () => (existsSync(String(progress)) ? readFileSync(String(progress), 'utf8').trim() : '')
  let seen = ''
  let since = Date.now()
  const watch = setInterval(() => {
    const now = last()
    if (now !== seen) [seen, since] = [now, Date.now()]
    if (Date.now() - since > longest) child.kill('SIGKILL')
  }, 1_000)
  const code = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)))
  clearInterval(watch)
  rmSync(String(scratch), { recursive: true, force: true })
  if (code === 0 && existsSync(String(report))) return JSON.parse(readFileSync(String(report), 'utf8'))
  return { failed: code, call: last(), errors }
}
