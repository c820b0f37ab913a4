/**
 * Checks that two runs computed the same: compares their newest checkpoints byte for byte, and their metrics except the throughput.
 *
 *   node scripts/same-run.mjs runs/six runs/three-and-three
 */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** @param {string} run */
const newest = (run) => {
  const folder = join(run, 'checkpoints')
  const name = readdirSync(folder)
    .filter((entry) => /^step-\d+$/.test(entry))
    .sort()
    .at(-1)
  if (!name) throw new Error(`${run} has no checkpoint`)
  return join(folder, name)
}

/** @param {string} run */
const weights = (run) => {
  const place = newest(run)
  return readdirSync(place)
    .filter((file) => file.endsWith('.safetensors'))
    .sort()
    .map((file) => [
      file,
      createHash('sha256')
        .update(readFileSync(join(place, file)))
        .digest('hex')
    ])
}

/** @param {string} run */
const metrics = (run) =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { imagesPerSecond: _, latentsPerSecond: __, ...rest } = JSON.parse(line)
      return JSON.stringify(rest)
    })

const [first, second] = process.argv.slice(2)
if (!first || !second) {
  process.stderr.write('usage: node scripts/same-run.mjs <run> <run>\n')
  process.exit(2)
}
let same = newest(first).endsWith(newest(second).split(/[\\/]/).at(-1) ?? '')
process.stdout.write(`${newest(first)}\n${newest(second)}\n`)
const theirs = new Map(weights(second).map(([file, hash]) => /** @type {[string, string]} */ ([file, hash])))
for (const [file, hash] of weights(first)) {
  const equal = theirs.get(/** @type {string} */ (file)) === hash
  same &&= equal
  process.stdout.write(`${equal ? 'same' : 'DIFFERENT'}  ${file}  ${String(hash).slice(0, 16)}\n`)
}
const [ours, others] = [metrics(first), metrics(second)]
for (const [i, line] of ours.entries()) {
  const equal = line === others[i]
  same &&= equal
  process.stdout.write(
    `${equal ? 'same' : 'DIFFERENT'}  line ${i + 1} of the metrics${equal ? '' : `\n  ${line}\n  ${others[i]}`}\n`
  )
}
same &&= ours.length === others.length
process.stdout.write(same ? 'The runs are the same.\n' : 'The runs differ.\n')
process.exitCode = same ? 0 : 1
