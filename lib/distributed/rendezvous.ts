/** Where the ranks of a job meet, from the environment that its launcher set. */

import { fileURLToPath } from 'node:url'
import { outOfRange } from '../errors.js'
import type { Ranks } from './ranks.js'

/** How often this process has met others: all ranks of a job meet as often. */
let met = 0

type Environment = Readonly<Record<string, string | undefined>>

export interface Rendezvous {
  /** A file that all ranks see; empty: they meet at an address. */
  file: string
  host: string
  port: number
  /** Whether this rank holds the store, and whether what holds it outlives the job: an agent of torchrun, or a file. */
  holdsStore: boolean
  outlives: boolean
  /** Of this attempt's keys in the store. */
  prefix: string
}

/**
 * The path of a URL such as `file:///shared/rendezvous`; null of anything else.
 * @throws {RangeError} naming where it comes from, when it is no absolute path of this machine
 */
export function rendezvousFile(name: string, text: string): string | null {
  if (!text.startsWith('file:')) return null
  try {
    return fileURLToPath(text)
  } catch {
    throw outOfRange(name, 'an absolute path after file://', text)
  }
}

/**
 * `MASTER_ADDR` and `MASTER_PORT`; without them, in a step of Slurm, its first node and a port that its job's number decides.
 * Where `MASTER_ADDR` is a file's URL, the ranks meet at a file that begins with that path: each attempt and each meeting has its own.
 * @throws {RangeError} naming the variable that is missing or wrong
 */
export function rendezvousFromEnvironment({ rank }: Ranks, env: Environment = process.env): Rendezvous {
  const byAgent = env.TORCHELASTIC_USE_AGENT_STORE === 'True'
  const attempt = env.TORCHELASTIC_RESTART_COUNT ?? '0'
  const meeting = met++
  const file = rendezvousFile('the environment variable MASTER_ADDR', env.MASTER_ADDR ?? '')
  if (file !== null) {
    const name = `${file}.${attempt}.${meeting}`
    return { file: name, host: '', port: 0, holdsStore: false, outlives: true, prefix: 'mactok' }
  }
  return {
    file: '',
    host: env.MASTER_ADDR || firstNode(env.SLURM_STEP_NODELIST) || missing('MASTER_ADDR', 'the address of rank 0', env),
    port: portOf(env),
    holdsStore: rank === 0 && !byAgent,
    outlives: byAgent,
    prefix: `mactok/${attempt}/${meeting}`
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
