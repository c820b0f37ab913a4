/**
 * npm run test:faults [-- --quick] [-- --seed 1] [-- --again] [-- --only fuzz]: kills, flipped bits, fuzzed parsers, abuse of the API, and
 * broken storage. Results are kept in `faults.json` of the folder `--place` (by default `mactok-faults` in the system's temporary folder); a
 * later call does what is missing. `--only` runs the parts with these letters in their names.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { abuse } from './abuse.mjs'
import { flipBits } from './flips.mjs'
import { fuzz } from './fuzz.mjs'
import { killAnywhere } from './kill.mjs'
import { parsers } from './parsers.mjs'
import { prepare } from './place.mjs'
import { breakStorage } from './storage.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    place: { type: 'string' }
  }
})
const { quick, again } = values
const seed = Number(values.seed)
const place = values.place ?? join(tmpdir(), `mactok-faults${quick ? '-quick' : ''}`)
if (again) rmSync(place, { recursive: true, force: true })
mkdirSync(place, { recursive: true })

const inputs = quick ? 1_000 : 100_000
/** @type {[string, () => Promise<object>][]} */
const parts = [
  ['flipped bits', () => flipBits(place, { flips: quick ? 150 : 3_000, seed })],
  ...Object.keys(parsers).map(
    (name) =>
      /** @type {[string, () => Promise<object>]} */ ([`fuzz ${name}`, () => fuzz(place, name, { inputs, seed })])
  ),
  ['abuse', () => abuse(place, { calls: quick ? 4_000 : 60_000, concurrent: quick ? 2_000 : 10_000, seed })],
  ['storage', () => breakStorage(place)],
  ['kills', () => killAnywhere(place, { kills: quick ? 10 : 100, seed })]
]

const file = join(place, 'faults.json')
/** @type {Record<string, any>} */
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
process.stdout.write(`${machine}\n`)
await prepare(place)
for (const [name, run] of parts.filter(([name]) => name.includes(values.only))) {
  if (!results[name]) {
    const started = Date.now()
    const result = await run()
    results[name] = { seconds: Math.round((Date.now() - started) / 1000), seed, ...result }
    writeFileSync(file, JSON.stringify({ machine, ...results }, null, 2))
  }
  process.stdout.write(`${name}: ${JSON.stringify(results[name])}\n`)
}
process.exit(0)
