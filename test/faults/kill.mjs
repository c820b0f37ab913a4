/**
 * SIGKILL at random instants and at named points (before an operation on a file, or in the middle of a write), again and again until the
 * work is done: results must be bit for bit those of a run that was never killed.
 */

import { existsSync, rmSync } from 'node:fs'
import { awaitProcesses, differences, findBroken, fingerprint, isRemains, listFiles, sharedMemory } from './outcome.mjs'
import { mactok, pick, runWhole, shuffle } from './place.mjs'
import { changes, readPoints, withShim } from './shim.mjs'

/** The most kills before a command may end. */
const longestChain = 4

/** @typedef {{ after: number } | { fault: string, rank: string }} Kill */

/**
 * @param {string} place
 * @param {string} name - of a command
 * @param {{ kills: number, random: () => number, library: string | null }} options
 */
export async function killCommand(place, name, { kills, library, random }) {
  if (!library) return { skipped: 'it needs Linux and a C compiler' }
  const sharedBefore = sharedMemory()
  const { out, args, log, whole, milliseconds } = await runWhole(place, name, library)
  const expected = fingerprint(whole)
  const points = shuffle(readPoints(log, changes), random)
  /** @type {Kill[]} */
  const planned = Array.from({ length: kills }, (_, i) => {
    if (i % 4 === 3) return { after: 100 + pick(random, milliseconds) }
    const { rank, operation, pattern, count } = /** @type {import('./shim.mjs').Point} */ (points[i % points.length])
    const action = rank !== '' && pick(random, 2) ? 'kill-job' : 'kill'
    return { fault: `${operation} ${pattern} ${1 + pick(random, count)} ${action}`, rank }
  })
  const result = {
    points: points.length,
    kills: 0,
    missed: 0,
    runs: 0,
    failed: 0,
    different: 0,
    broken: 0,
    remains: 0,
    processes: 0,
    sharedMemory: 0
  }
  /** @param {keyof typeof result} kind @param {string[]} found */
  const note = (kind, found) => {
    result[kind] += found.length
    if (found.length > 0) process.stdout.write(`${name}: ${kind}: ${found.join('; ')}\n`)
  }
  while (planned.length > 0) {
    rmSync(out, { recursive: true, force: true })
    /** @type {string[]} */
    const chain = []
    for (;;) {
      const kill = chain.length < longestChain ? planned.shift() : undefined
      const done = await mactok(args, {
        ...(kill && 'after' in kill && { killAfter: kill.after }),
        env: kill && 'fault' in kill ? withShim(library, out, kill) : { FAULT_FOLDER: out }
      })
      if (kill && (done.signal === 'SIGKILL' || done.code === 137)) {
        result.kills += 1
        chain.push('after' in kill ? `${kill.after} ms` : kill.fault)
        if ((await awaitProcesses(out)) > 0) note('processes', chain)
        note('broken', await findBroken(out))
        continue
      }
      // Its point was passed before the kills that came before; from the start it will be reached.
      if (kill && chain.length > 0) planned.unshift(kill)
      else if (kill) result.missed += 1
      result.runs += 1
      if (done.code !== 0) note('failed', [`${done.code} after ${chain.join(', ')}: ${done.output.slice(-500)}`])
      break
    }
    const different = existsSync(out) ? differences(expected, fingerprint(out)) : ['everything']
    if (different.length > 0) note('different', [`${different.join(', ')} after ${chain.join(', ')}`])
    note(
      'remains',
      listFiles(out)
        .filter(isRemains)
        .map((file) => `${file} after ${chain.join(', ')}`)
    )
  }
  note(
    'sharedMemory',
    sharedMemory().filter((block) => !sharedBefore.includes(block))
  )
  return result
}
