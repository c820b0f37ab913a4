/**
 * npm run test:faults [-- --quick] [-- --seed 1] [-- --again]: kills, flipped bits, fuzzed parsers, broken storage, and a soak. Results are kept in
 * `faults.json` of the folder `--place` (by default `mactok-faults` in the system's temporary folder); a later call does what is missing.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compareRuns } from './determinism.mjs'
import { flipBits } from './flips.mjs'
import { fuzz } from './fuzz.mjs'
import { killAnywhere } from './kill.mjs'
import { prepare } from './place.mjs'
import { buildShim } from './shim.mjs'
import { soak, trainLong } from './soak.mjs'
import { breakStorage } from './storage.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    place: { type: 'string' }
  }
})
const { quick, again } = values
const seed = Number(values.seed)
const place = values.place ?? join(tmpdir(), `mactok-faults${quick ? '-quick' : ''}`)
if (again) rmSync(place, { recursive: true, force: true })
mkdirSync(place, { recursive: true })

const names = ['safetensors', 'torch', 'tar', 'npz', 'image', 'manifest', 'statistics', 'state', 'yaml']
const inputs = quick ? 1_000 : 100_000
/** @type {[string, () => Promise<object>][]} */
const parts = [
  ['flipped bits', () => flipBits(place, { flips: quick ? 150 : 3_000, seed })],
  ...names.map(
    (name) =>
      /** @type {[string, () => Promise<object>]} */ ([`fuzz ${name}`, () => fuzz(place, name, { inputs, seed })])
  ),
  ['storage', () => breakStorage(place, { rounds: quick ? null : 2, seed, library: buildShim(place) })],
  ['determinism', () => compareRuns(place, { steps: 20, precisions: quick ? ['fp32'] : ['fp32', 'bf16'] })],
  ['soak', () => soak(place, quick ? { minutes: 1, percent: 10 } : { minutes: 60, percent: 2 })],
  ['long runs', () => trainLong(place, { steps: quick ? 100 : 5_000 })],
  ['kills', () => killAnywhere(place, { kills: quick ? 4 : 28, seed, library: buildShim(place) })]
]

const file = join(place, 'faults.json')
/** @type {Record<string, any>} */
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
process.stdout.write(`${machine}\n`)
await prepare(place)
for (const [name, run] of parts) {
  if (!results[name] || results[name].passed === false) {
    const started = Date.now()
    const result = await run()
    results[name] = { seconds: Math.round((Date.now() - started) / 1000), seed, ...result }
    writeFileSync(file, JSON.stringify({ machine, ...results }, null, 2))
  }
  process.stdout.write(`${name}: ${JSON.stringify(results[name])}\n`)
}
process.exit(Object.values(results).some(({ passed }) => passed === false) ? 1 : 0)
