// One rank of a job that meets fifty times, with a timeout of TIMEOUT seconds; the rank named by FAULTY does what FAULT says at the
// tenth, unless the job has restarted. `cut` meets 200 times, and is done at each from the tenth on.
import { setTimeout as sleep } from 'node:timers/promises'
import { RankGroup } from '../../dist/distributed/rank-group.js'
import { ranksFromEnvironment } from '../../dist/distributed/ranks.js'

// What ships, not what the tests load.
delete process.env.MACTOK_ADDON
const { FAULT = '', FAULTY, TIMEOUT, TORCHELASTIC_RESTART_COUNT } = process.env
const ranks = ranksFromEnvironment()
const isFaulty = ranks.rank === Number(FAULTY) && TORCHELASTIC_RESTART_COUNT === '0'
const isCut = FAULT === 'cut'
const timeout = Number(TIMEOUT)

/** @type {Record<string, (group: RankGroup) => unknown>} */
const faults = {
  kill: () => process.kill(process.pid, 'SIGKILL'),
  stop: () => process.kill(process.pid, 'SIGSTOP'),
  throw: () => {
    throw new Error('no space left on device')
  },
  // It is alive, but does not come.
  hang: () => sleep(60_000),
  // It comes late, and the others wait for something that takes longer than the timeout, and a little longer.
  delay: async (group) => {
    await sleep(500)
    await group.busy(() => sleep(1500 * timeout))
    await sleep(500)
  },
  // The test cuts the network when it reads this, however late: from here on the others wait for this rank at each meeting.
  cut: async () => {
    console.log('cut')
    await sleep(500)
  }
}

if (isFaulty && FAULT === 'delay') await sleep(500)
if (isFaulty && FAULT === 'missing') {
  await sleep(60_000)
} else {
  try {
    const group = await RankGroup.join(ranks, { timeout, sharded: false }, 'cpu')
    await group.run(async () => {
      for (let i = 0; i < (isCut ? 200 : 50); i++) {
        if (isFaulty && (i === 10 || (isCut && i > 10))) await faults[FAULT]?.(group)
        const [largest] = await group.agree([ranks.rank])
        if (largest !== ranks.worldSize - 1) throw new Error(`agreed on ${largest}`)
      }
    })
    console.log(`rank ${ranks.rank} met the others`)
  } catch (error) {
    console.error(`error: ${/** @type {Error} */ (error).message}`)
    process.exitCode = 1
  }
}
