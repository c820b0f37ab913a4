/** SIGKILL at random instants; after resuming, results must be bit for bit those of a run that was never killed. */

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { commands, mactok, must, pick, randomNumbers } from './place.mjs'

/** Every file of a folder. @param {string} folder @returns {string[]} */
const listFiles = (folder) =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? listFiles(path) : [path]
  })

/** What must not depend on interruptions, by file. @param {string} folder */
function fingerprint(folder) {
  const files = listFiles(folder).filter((file) => !/tfevents|train\.lock/.test(file))
  return Object.fromEntries(
    files.sort().map((file) => {
      const content = readFileSync(file)
      // Rates are measured.
      const kept = file.endsWith('.jsonl')
        ? String(content).replace(/"(images|latents)PerSecond":[^,}]+/g, '')
        : content
      return [relative(folder, file), createHash('sha256').update(kept).digest('hex')]
    })
  )
}

/**
 * @param {string} place
 * @param {{ kills: number, seed: number }} options
 */
export async function killAnywhere(place, { kills, seed }) {
  const random = randomNumbers(seed)
  /** @type {Record<string, object>} */
  const results = {}
  for (const [name, command] of Object.entries(commands(place))) {
    const reference = join(place, `whole ${name}`)
    if (existsSync(reference)) rmSync(reference, { recursive: true })
    const { milliseconds } = await must(command(reference))
    const expected = JSON.stringify(fingerprint(reference))
    const result = { kills: 0, runs: 0, different: 0, failed: 0, leftovers: 0 }
    while (result.kills < kills) {
      const out = join(place, `killed ${name}`)
      rmSync(out, { recursive: true, force: true })
      for (;;) {
        const left = result.kills < kills
        const done = await mactok(command(out), { killAfter: left ? 100 + pick(random, milliseconds) : undefined })
        if (done.signal === 'SIGKILL') result.kills += 1
        else {
          result.runs += 1
          if (done.code !== 0) {
            result.failed += 1
            process.stdout.write(`${name} ended with ${done.code}: ${done.output.slice(-500)}\n`)
          }
          break
        }
      }
      const files = existsSync(out) ? fingerprint(out) : {}
      const isLeftover = (/** @type {string} */ file) => /(^|\/)\.|\.tmp$/.test(file)
      const leftovers = Object.keys(files).filter(isLeftover)
      result.leftovers += leftovers.length
      for (const file of leftovers) delete files[file]
      if (JSON.stringify(files) !== expected) {
        result.different += 1
        const before = JSON.parse(expected)
        const changed = Object.keys({ ...before, ...files }).filter((file) => before[file] !== files[file])
        process.stdout.write(`${name} differs after kills in ${changed.join(', ')}\n`)
      }
    }
    results[name] = result
  }
  return results
}
