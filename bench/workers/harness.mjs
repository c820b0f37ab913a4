/** What our workers share: the spec, timing rounds, and one line of JSON as the answer. */

import { readFileSync } from 'node:fs'
import { addon } from '../../dist/native/load.js'

export function readSpec() {
  const spec = JSON.parse(process.argv[2])
  addon().setThreads(spec.threads ?? 2)
  return spec
}

/** VmHWM in bytes: the peak memory of the process. */
function peakMemory() {
  const line = readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+)/)
  return Number(line[1]) * 1024
}

/** Seconds per step of each round, after `warmup` steps. */
export async function rounds({ warmup = 3, rounds: count, steps }, step) {
  for (let i = 0; i < warmup; i++) await step()
  const seconds = []
  for (let round = 0; round < count; round++) {
    const start = performance.now()
    for (let i = 0; i < steps; i++) await step()
    seconds.push((performance.now() - start) / 1000 / steps)
  }
  return seconds
}

export function answer(fields) {
  console.log(JSON.stringify({ ...fields, memory: peakMemory() }))
}
