/** The same run by other numbers of threads, by other instructions of the CPU, and again: which bytes differ, and by how much. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { arch } from 'node:os'
import { join } from 'node:path'
import { everything, writeNetworks } from './networks.mjs'
import { dist, must } from './place.mjs'

const { readSafetensors } = await import(new URL('weights/index.js', dist).href)

/** What LibTorch can be told to compute with here, best first. */
function capabilities() {
  if (process.platform !== 'linux' || arch() !== 'x64') return ['']
  const flags = readFileSync('/proc/cpuinfo', 'utf8')
  return [
    ...(['avx512dq', 'avx512vl', 'avx512bw'].every((flag) => flags.includes(flag)) ? ['avx512'] : []),
    ...(flags.includes(' avx2 ') ? ['avx2'] : []),
    'default'
  ]
}

/** The losses and the weights that a run ended with. @param {string} run @param {number} steps */
async function readRun(run, steps) {
  const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n')
  const losses = lines.flatMap((line) => JSON.parse(line).loss?.total ?? [])
  const folder = join(run, 'checkpoints', `step-${String(steps).padStart(7, '0')}`)
  const file = await readSafetensors(join(folder, 'model.safetensors'))
  const weights = []
  for (const name of file.names()) weights.push(...(await file.float32(name)))
  await file.close()
  return { losses, weights }
}

/** @typedef {Awaited<ReturnType<typeof readRun>>} Run */

/** @param {number[]} values @param {number[]} others */
const largest = (values, others) =>
  values.reduce((most, value, i) => Math.max(most, Math.abs(value - /** @type {number} */ (others[i]))), 0)

/** @param {Run} run @param {Run} reference */
function compare(run, reference) {
  const same = JSON.stringify(run) === JSON.stringify(reference)
  const loss = largest(run.losses, reference.losses) / Math.max(...reference.losses.map(Math.abs))
  const weights = largest(run.weights, reference.weights)
  return same ? { same } : { same, loss: Number(loss.toPrecision(2)), weights: Number(weights.toPrecision(2)) }
}

/** Rounding alone makes a smaller difference in the losses of so few steps, as a fraction of them. */
const mostLoss = { fp32: 1e-3, bf16: 5e-2 }

/**
 * @param {string} place
 * @param {{ steps: number, precisions: (keyof typeof mostLoss)[] }} options
 */
export async function compareRuns(place, { steps, precisions }) {
  const config = join(place, 'everything.json')
  const networks = await writeNetworks(join(place, 'networks'))
  writeFileSync(config, JSON.stringify({ ...everything(networks), log: { every: 1 } }))
  const out = join(place, 'compared')
  const train = async (
    /** @type {string} */ precision,
    /** @type {number} */ threads,
    /** @type {string} */ capability
  ) => {
    rmSync(out, { recursive: true, force: true })
    const flags = ['--steps', String(steps), '--precision', precision, '--threads', String(threads)]
    const args = ['train', 'tokenizer', '--config', config, '--data', join(place, 'images'), '--out', out]
    await must([...args, ...flags, '--device', 'cpu'], capability ? { ATEN_CPU_CAPABILITY: capability } : {})
    return readRun(out, steps)
  }
  /** @type {Record<string, ReturnType<typeof compare>>} */
  const results = {}
  let passed = true
  const [best = '', ...others] = capabilities()
  for (const precision of precisions) {
    const reference = await train(precision, 1, best)
    const add = async (/** @type {string} */ name, /** @type {Run} */ run, /** @type {boolean} */ isEqual) => {
      const result = compare(run, reference)
      results[`${precision}, ${name}`] = result
      passed &&= isEqual ? result.same : result.same || (result.loss ?? 1) < mostLoss[precision]
    }
    await add('again', await train(precision, 1, best), true)
    await add('2 threads', await train(precision, 2, best), false)
    for (const other of others) await add(`${other} instead of ${best}`, await train(precision, 1, other), false)
  }
  rmSync(out, { recursive: true, force: true })
  return { ...results, passed }
}
