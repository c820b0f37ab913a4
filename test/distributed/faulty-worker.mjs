// One rank of a job that meets a hundred times; the rank named by FAULTY does what FAULT says at the tenth.
import { setTimeout as sleep } from 'node:timers/promises'
import { RankGroup } from '../../dist/distributed/rank-group.js'
import { ranksFromEnvironment } from '../../dist/distributed/ranks.js'

const { FAULT = '', FAULTY, RANK_TIMEOUT = '2', TORCHELASTIC_RESTART_COUNT } = process.env
const ranks = ranksFromEnvironment()
const isFaulty = ranks.rank === Number(FAULTY) && TORCHELASTIC_RESTART_COUNT === '0'
const timeout = Number(RANK_TIMEOUT)

/** @type {Record<string, (group: RankGroup) => unknown>} */
const faults = {
  kill: () => process.kill(process.pid, 'SIGKILL'),
  stop: () => process.kill(process.pid, 'SIGSTOP'),
  throw: () => {
    throw new Error('no space left on device')
  },
  // It is alive, but does not come.
  hang: () => sleep(60_000),
  // Others wait longer than the timeout for it.
  busy: (group) => group.busy(() => sleep(2500 * timeout)),
  slow: () => sleep(500 * timeout)
}

if (isFaulty && FAULT === 'late') await sleep(500 * timeout)
if (isFaulty && FAULT === 'missing') {
  await sleep(60_000)
} else {
  try {
    const group = await RankGroup.join(ranks, { timeout }, 'cpu')
    await group.run(async () => {
      for (let i = 0; i < 100; i++) {
        if (isFaulty && i === 10) await faults[FAULT]?.(group)
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
