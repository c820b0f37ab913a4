/** Fuzzes one parser in a process of its own: node fuzz-parser.mjs <place> <parser> <inputs> <seed>. Writes a line per input's start. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mutate } from './mutate.mjs'
import { parsers } from './parsers.mjs'
import { copy, dist, pick, randomNumbers } from './place.mjs'

const { MactokError } = await import(new URL('errors.js', dist).href)
const [place = '', name = '', inputs = '', seed = ''] = process.argv.slice(2)
const parser = /** @type {import('./parsers.mjs').Parser} */ (parsers[name])
process.emitWarning = () => {}

const work = join(place, `fuzz ${name}`)
rmSync(work, { recursive: true, force: true })
if (parser.inside) copy(place, parser.inside, work)
else mkdirSync(work)
const file = join(work, parser.name)
const random = randomNumbers(Number(seed))
const seeds = parser.seeds(place)

/** An error that names what was wrong: ours, or the system's about a file. @param {any} error */
const isNamed = (error) =>
  error instanceof MactokError ||
  /^(Expected|Unknown) /.test(error.message) ||
  typeof error.syscall === 'string' ||
  error.constructor.name === 'UsageError'

const result = { inputs: 0, read: 0, refused: 0, raw: 0, slowest: 0, megabytes: 0 }
/** @type {Record<string, number>} */
const raw = {}
for (let i = 0; i < Number(inputs); i++) {
  writeFileSync(file, mutate(/** @type {Buffer} */ (seeds[pick(random, seeds.length)]), random))
  process.stdout.write(`${i}\n`)
  const started = performance.now()
  try {
    await parser.read(file, work)
    result.read += 1
  } catch (error) {
    const isOurs = isNamed(error)
    result[isOurs ? 'refused' : 'raw'] += 1
    const message = `${/** @type {Error} */ (error).message}`.slice(0, 120)
    if (!isOurs && Object.keys(raw).length < 10) raw[message] ??= i
  }
  result.slowest = Math.max(result.slowest, Math.round(performance.now() - started))
  result.inputs += 1
}
result.megabytes = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(`${JSON.stringify({ ...result, ...(result.raw > 0 && { firstOf: raw }) })}\n`, () =>
  process.exit(0)
)
