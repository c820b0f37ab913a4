/**
 * Fuzzes one parser in a process of its own: node fuzz-parser.mjs <settings as JSON>. Inputs that run new code are edited further. The input
 * that is being read is the file itself.
 */

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Coverage } from './coverage.mjs'
import { Choices, damage, edit, isDeep } from './mutate.mjs'
import { copy, dist, randomNumbers } from './place.mjs'

const { place, name, inputs, seed, folder, found } = JSON.parse(String(process.argv[2]))
const { parsers } = await import('./parsers.mjs')
const { MactokError } = await import(new URL('errors.js', dist).href)
const parser = /** @type {import('./parsers.mjs').Parser} */ (parsers[name])
process.emitWarning = () => {}

if (parser.inside) copy(place, parser.inside, folder)
else mkdirSync(folder, { recursive: true })
const file = join(folder, parser.name)
const choices = new Choices(randomNumbers(seed))
const seeds = await parser.seeds(place)
/** Edited files that ran new code. @type {any[]} */
const corpus = []
/** So many are kept, and none that grew beyond this many bytes. */
const [most, largest] = [2_000, 100_000]

/** An error that names what was wrong: ours, or the system's about a file. @param {any} error */
const isNamed = (error) =>
  error instanceof MactokError ||
  /^(Expected|Unknown) /.test(error.message) ||
  typeof error.syscall === 'string' ||
  error.constructor.name === 'UsageError'

const result = {
  inputs: 0,
  read: 0,
  refused: 0,
  refusedFirst: 0,
  raw: 0,
  slowest: 0,
  megabytes: 0,
  kept: 0,
  covered: 0
}
/** The file that shows an error which is not ours, by its message. @type {Record<string, string>} */
const raw = {}
const coverage = new Coverage()
coverage.takeNew()
for (; result.inputs < inputs; result.inputs++) {
  // The first inputs are valid.
  const origin = corpus.length > 0 && choices.below(3) > 0 ? choices.of(corpus) : choices.of(seeds)
  const tree = result.inputs < seeds.length ? seeds[result.inputs] : edit(origin, choices)
  const written = parser.write(tree)
  const isDamaged = result.inputs >= seeds.length && choices.below(8) === 0 && written.length > 0
  writeFileSync(file, isDamaged ? damage(written, choices) : written)
  const started = performance.now()
  let passed = true
  try {
    await parser.read(file, folder)
    result.read++
  } catch (/** @type {any} */ error) {
    if (isNamed(error)) {
      result.refused++
      passed = !parser.first?.test(error.message)
      if (!passed) result.refusedFirst++
    } else {
      result.raw++
      const message = `${error?.stack ?? error}`.split('\n').slice(0, 3).join('\n').slice(0, 400)
      if (!(message in raw) && Object.keys(raw).length < 20) {
        raw[message] = join(found, `${name} ${result.inputs}`)
        copyFileSync(file, raw[message])
      }
    }
  }
  result.slowest = Math.max(result.slowest, Math.round(performance.now() - started))
  if (coverage.takeNew() && passed && !isDamaged && written.length < largest && !isDeep(tree)) {
    if (corpus.length < most) corpus.push(tree)
    else corpus[choices.below(most)] = tree
  }
}
result.kept = corpus.length
result.covered = coverage.size
result.megabytes = Math.round(process.resourceUsage().maxRSS / 1024)
process.stdout.write(JSON.stringify({ ...result, ...(result.raw > 0 && { firstOf: raw }) }), () => process.exit(0))
