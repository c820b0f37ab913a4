/** What our workers share: the spec, timing rounds, and one line of JSON as the answer. */

import { readFileSync } from 'node:fs'
import { addon } from '../../dist/native/load.js'
import { hasSettled } from '../verdict.mjs'

export function readSpec() {
  const spec = JSON.parse(process.argv[2])
  addon().setThreads(spec.threads ?? 2)
  return spec
}

/** The most that warming up may take: rounds, and seconds. */
const WARM_UP = { rounds: 10, seconds: 30 }

/**
 * Seconds per step of each round of `steps` steps, measured after `warmup` steps and further rounds until two agree.
 * `settled` is whether they did.
 * @param {{ warmup?: number, rounds: number, steps: number }} spec
 * @param {() => Promise<unknown>} step
 * @param {() => Promise<unknown>} [finish] waits for what the device still computes
 */
export async function rounds({ warmup = 3, rounds: count, steps }, step, finish = async () => {}) {
  async function round() {
    const start = performance.now()
    for (let i = 0; i < steps; i++) await step()
    await finish()
    return (performance.now() - start) / 1000 / steps
  }
  for (let i = 0; i < warmup; i++) await step()
  await finish()
  const before = []
  const start = performance.now()
  const isOver = () => before.length >= WARM_UP.rounds || performance.now() - start > 1000 * WARM_UP.seconds
  while (warmup > 0 && !hasSettled(before) && !isOver()) before.push(await round())
  const seconds = []
  for (let i = 0; i < count; i++) seconds.push(await round())
  return { seconds, settled: warmup === 0 || hasSettled(before) }
}

/** VmHWM in bytes: the peak memory of the process. */
function peakMemory() {
  const line = readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+)/)
  return Number(line[1]) * 1024
}

/** Prints the answer, with the peak memory of the process, or of the tensors on a CUDA device. */
export async function answer(fields, device = 'cpu') {
  const memory = device === 'cpu' ? peakMemory() : ((await addon().deviceMemory(device))?.peak ?? 0)
  console.log(JSON.stringify({ ...fields, memory }))
}
