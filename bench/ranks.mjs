/**
 * The scaling efficiency of training a ViT-S tokenizer (reconstruction and KL, at the other benches' size) by two ranks with a thread
 * each, against one rank, and against two processes that exchange nothing but share the machine, three times in turn; how much of the
 * gradients' reduction overlaps the backward pass; and the memory that sharded state saves: node bench/ranks.mjs
 */
import { bestPrecision } from '../dist/native/device.js'
import { cases } from './cases.mjs'
import { launchRanks } from './launch-ranks.mjs'
import { median } from './statistics.mjs'

/** Of each process. */
const steps = 3
const { tokenizer, batch } = cases.tokenizer.sizes['vit-s']

/**
 * @param {number} nproc
 * @param {{ exchange?: boolean, sharded?: boolean }} [how]
 */
const measure = (nproc, { exchange = nproc > 1, sharded = false } = {}) =>
  launchRanks(nproc, { kind: 'tokenizer', tokenizer, batch, precision: bestPrecision('cpu'), steps, exchange, sharded })

/** Alternating, as a machine's speed drifts. @type {{ one: any[], apart: any[], two: any[] }} */
const runs = { one: [], apart: [], two: [] }
for (let round = 0; round < 3; round++) {
  runs.one.push(await measure(1))
  runs.apart.push(await measure(2, { exchange: false }))
  runs.two.push(await measure(2))
}
const sharded = await measure(2, { sharded: true })
const [one, apart, two] = [runs.one, runs.apart, runs.two].map((each) => ({
  ...each.at(-1),
  seconds: each.flatMap(({ seconds }) => seconds),
  cpu: each.flatMap(({ cpu }) => cpu)
}))
const percent = (/** @type {number} */ ratio) => `${(100 * ratio).toFixed(0)} %`
for (const [name, { seconds, cpu }] of Object.entries({ 'one rank': one, 'two apart': apart, 'two ranks': two })) {
  console.log(`${name}: ${median(seconds).toFixed(3)} s per step, ${median(cpu).toFixed(3)} s of CPU time per rank`)
}
for (const [name, base] of Object.entries({ 'one rank': one, 'two apart': apart })) {
  const [clock, cpu] = [median(base.seconds) / median(two.seconds), median(base.cpu) / median(two.cpu)]
  console.log(`efficiency against ${name}: ${percent(clock)} by wall clock, ${percent(cpu)} by CPU time`)
}
const total = (/** @type {string} */ name) => runs.two.reduce((sum, each) => sum + each[name], 0)
const ofStep = (/** @type {string} */ name) => (total(name) / runs.two.length / steps).toFixed(3)
console.log(
  `reduction of a step: ${ofStep('reduced')} s, of which ${percent(total('overlapped') / total('reduced'))} in the backward pass; ${ofStep('waited')} s waited for after it`
)
const gib = (/** @type {number} */ bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`
console.log(`memory of a rank: ${gib(two.memory)}, with sharded state ${gib(sharded.memory)}`)
