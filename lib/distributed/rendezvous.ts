/** Where the ranks of a job meet, from the environment that its launcher set. */

import { outOfRange } from '../errors.js'
import type { Ranks } from './ranks.js'

/** How often this process has met others: all ranks of a job meet as often. */
let met = 0

type Environment = Readonly<Record<string, string | undefined>>

export interface Rendezvous {
  host: string
  port: number
  /** Whether this rank holds the store, and whether it outlives the job: an agent of torchrun may hold it. */
  holdsStore: boolean
  outlives: boolean
  /** Of this attempt's keys in the store. */
  prefix: string
}

/**
 * `MASTER_ADDR` and `MASTER_PORT`; without them, in a step of Slurm, its first node and a port that its job's number decides.
 * @throws {RangeError} naming the variable that is missing or wrong
 */
export function rendezvousFromEnvironment({ rank }: Ranks, env: Environment = process.env): Rendezvous {
  const byAgent = env.TORCHELASTIC_USE_AGENT_STORE === 'True'
  const attempt = env.TORCHELASTIC_RESTART_COUNT ?? '0'
  return {
    host: env.MASTER_ADDR || firstNode(env.SLURM_STEP_NODELIST) || missing('MASTER_ADDR', 'the address of rank 0', env),
    port: portOf(env),
    holdsStore: rank === 0 && !byAgent,
    outlives: byAgent,
    prefix: `mactok/${attempt}/${met++}`
  }
}

/** The first name of a list as Slurm writes it: `gpu[07-09,12],login1`. */
function firstNode(list: string | undefined): string | undefined {
  const [, name, bracket] = /^([^,[]+)(?:\[([^\]]+)\])?/.exec(list ?? '') ?? []
  return name === undefined ? undefined : name + (bracket?.split(/[-,]/)[0] ?? '')
}

function portOf(env: Environment): number {
  const { MASTER_PORT, SLURM_JOB_ID, SLURM_STEP_ID = '0' } = env
  if (!MASTER_PORT && env.SLURM_STEP_NODELIST && /^\d+$/.test(SLURM_JOB_ID ?? '')) {
    return 20_000 + ((Number(SLURM_JOB_ID) * 8 + Number(SLURM_STEP_ID)) % 20_000)
  }
  const port = Number(MASTER_PORT)
  if (!MASTER_PORT || !Number.isInteger(port) || port < 1 || port > 65_535) {
    return missing('MASTER_PORT', 'a port from 1 to 65535', env)
  }
  return port
}

function missing(name: string, expected: string, env: Environment): never {
  throw outOfRange(`the environment variable ${name}`, expected, env[name])
}
