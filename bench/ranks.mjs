/**
 * The scaling efficiency of two ranks with a thread each, against one rank with one thread, and how much of the gradients' reduction
 * overlaps the backward pass, and the memory that sharded state saves: node bench/ranks.mjs
 */
import { fileURLToPath } from 'node:url'
import { launch } from '../dist/distributed/launch.js'
import { median } from './statistics.mjs'

const worker = fileURLToPath(new URL('workers/ranks.mjs', import.meta.url))

/**
 * @param {number} nproc
 * @param {boolean} [sharded]
 */
async function measure(nproc, sharded = false) {
  let line = ''
  process.env.BENCH_SHARDED = sharded ? '1' : '0'
  const job = launch({
    command: [process.execPath, worker],
    nproc,
    onLine: ({ stream, text }) => {
      if (stream === 'stdout') line = text
      else console.error(text)
    }
  })
  const { code } = await job.result
  if (code !== 0) throw new Error(`${nproc} ranks ended with exit code ${code}`)
  return JSON.parse(line)
}

const [one, two, sharded] = [await measure(1), await measure(2), await measure(2, true)]
const percent = (/** @type {number} */ ratio) => `${(100 * ratio).toFixed(0)} %`
for (const [name, { seconds, cpu }] of Object.entries({ 'one rank': one, 'two ranks': two })) {
  console.log(`${name}: ${median(seconds).toFixed(3)} s per step, ${median(cpu).toFixed(3)} s of CPU time per rank`)
}
console.log(
  `efficiency: ${percent(median(one.seconds) / median(two.seconds))} by wall clock, ${percent(median(one.cpu) / median(two.cpu))} by CPU time`
)
console.log(
  `reduction: ${two.reductions} buckets, ${two.reduced.toFixed(3)} s, of which ${percent(two.overlapped / two.reduced)} in the backward pass; ${two.waited.toFixed(3)} s waited for after it`
)
const gib = (/** @type {number} */ bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`
console.log(`memory of a rank: ${gib(two.memory)}, with sharded state ${gib(sharded.memory)}`)
