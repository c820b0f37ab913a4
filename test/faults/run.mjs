/**
 * npm run test:faults [-- --quick] [-- --seed 1] [-- --again] [-- --only kills]: kills, flipped bits, fuzzed parsers, abuse of the API,
 * broken storage, and a soak. Results are kept in `faults.json` of the folder `--place` (by default `mactok-faults` in the system's
 * temporary folder); a later call does what is missing, of the parts whose names have the text of `--only`.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { abuse } from './abuse.mjs'
import { compareRuns } from './determinism.mjs'
import { flipBits } from './flips.mjs'
import { fuzz } from './fuzz.mjs'
import { killCommand } from './kill.mjs'
import { parsers } from './parsers.mjs'
import { commands, inParallel, prepare, randomNumbers } from './place.mjs'
import { buildShim } from './shim.mjs'
import { soak, trainLong } from './soak.mjs'
import { breakDisks, breakOperations, ignoreCase, leaveNfsFiles } from './storage.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    place: { type: 'string' }
  }
})
const { quick, again, only } = values
const seed = Number(values.seed)
const place = values.place ?? join(tmpdir(), `mactok-faults${quick ? '-quick' : ''}`)
if (again) rmSync(place, { recursive: true, force: true })
mkdirSync(place, { recursive: true })
const library = buildShim(place)

const inputs = quick ? 1_000 : 100_000
/** @type {[string, () => Promise<object>][]} */
const parts = [
  ['flipped bits', () => flipBits(place, { flips: quick ? 150 : 3_000, seed })],
  ...Object.keys(parsers).map(
    (name) =>
      /** @type {[string, () => Promise<object>]} */ ([`fuzz ${name}`, () => fuzz(place, name, { inputs, seed })])
  ),
  ['abuse', () => abuse(place, { calls: quick ? 4_000 : 60_000, concurrent: quick ? 2_000 : 10_000, seed })],
  ['disks', () => breakDisks(place)],
  ['files of NFS', () => leaveNfsFiles(place, library)],
  ['case', () => ignoreCase(place, library)],
  ['determinism', () => compareRuns(place, { steps: 20, precisions: quick ? ['fp32'] : ['fp32', 'bf16'] })],
  ['soak', () => soak(place, quick ? { minutes: 1, percent: 10 } : { minutes: 60, percent: 2 })],
  ['long runs', () => trainLong(place, { steps: quick ? 100 : 5_000 })]
]
/** Those of a command use one folder after another; two commands run at a time. @type {[string, () => Promise<object>][][]} */
const commandParts = Object.keys(commands(place)).map((name, i) => {
  const random = () => randomNumbers(seed * 1000 + i)
  return [
    [`storage ${name}`, () => breakOperations(place, name, { rounds: quick ? null : 2, random: random(), library })],
    [`kills ${name}`, () => killCommand(place, name, { kills: quick ? 3 : 28, random: random(), library })]
  ]
})

const file = join(place, 'faults.json')
/** @type {Record<string, any>} */
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
process.stdout.write(`${machine}\n`)
await prepare(place)

/** @param {[string, () => Promise<object>][]} wanted */
async function runParts(wanted) {
  for (const [name, run] of wanted) {
    if (!name.includes(only)) continue
    if (!results[name] || results[name].passed === false) {
      const started = Date.now()
      const result = await run()
      results[name] = { seconds: Math.round((Date.now() - started) / 1000), seed, ...result }
      writeFileSync(file, JSON.stringify({ machine, ...results }, null, 2))
    }
    process.stdout.write(`${name}: ${JSON.stringify(results[name])}\n`)
  }
}
await runParts(parts)
await inParallel(commandParts.map((wanted) => () => runParts(wanted)))
process.exit(Object.values(results).some(({ passed }) => passed === false) ? 1 : 0)
