/** Which of how many processes this one is, from the environment that its launcher set. */

import { object } from '../checks.js'
import { outOfRange } from '../errors.js'

/** A process among those that share one job's work. */
export interface Ranks {
  /** From 0 to `worldSize` - 1. */
  rank: number
  worldSize: number
  /** Among the processes of this machine: the number of its GPU. */
  localRank: number
  /** How many processes this machine has; they share its cores. */
  localSize: number
}

type Environment = Readonly<Record<string, string | undefined>>

interface Options {
  /**
   * Also counts the tasks of a Slurm array and the pods of a Kubernetes indexed job, which share work but cannot reach each
   * other: for work that is divided up front, not for training.
   */
  arrays?: boolean
}

/** A process that works alone. */
export const aloneRanks: Ranks = { rank: 0, worldSize: 1, localRank: 0, localSize: 1 }

/**
 * In this order: torchrun's variables (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`), those of a Slurm step; and
 * with `arrays` those of a Kubernetes indexed job (`JOB_COMPLETION_INDEX`, with the number of completions in `WORLD_SIZE`) and
 * of a Slurm array (its ids from `SLURM_ARRAY_TASK_MIN` on, without gaps). None of them: a process alone.
 * @throws {RangeError} naming the variable that is missing or out of range
 */
export function ranksFromEnvironment(env: Environment = process.env, options: Options = {}): Ranks {
  object('env', 'an object of texts', env)
  object('options', 'an object', options)
  const { arrays = false } = options
  if (isSet(env, 'RANK')) return fromTorchrun(env, 'RANK')
  const step = fromSlurmStep(env)
  if (step && step.worldSize > 1) return step
  if (arrays && isSet(env, 'JOB_COMPLETION_INDEX')) return fromTorchrun(env, 'JOB_COMPLETION_INDEX')
  if (arrays && isSet(env, 'SLURM_ARRAY_TASK_ID')) return fromSlurmArray(env)
  return step ?? aloneRanks
}

function fromTorchrun(env: Environment, rankName: string): Ranks {
  const worldSize = integer(env, 'WORLD_SIZE', 1)
  const rank = integer(env, rankName, 0, worldSize - 1)
  const localSize = isSet(env, 'LOCAL_WORLD_SIZE') ? integer(env, 'LOCAL_WORLD_SIZE', 1, worldSize) : null
  const localRank = isSet(env, 'LOCAL_RANK') ? integer(env, 'LOCAL_RANK', 0, (localSize ?? worldSize) - 1) : 0
  return { rank, worldSize, localRank, localSize: localSize ?? localRank + 1 }
}

/** Only srun sets the size of a step: a batch script, which has SLURM_NTASKS too, is one process. */
function fromSlurmStep(env: Environment): Ranks | null {
  if (!isSet(env, 'SLURM_STEP_NUM_TASKS')) return null
  const worldSize = integer(env, 'SLURM_STEP_NUM_TASKS', 1)
  const rank = integer(env, 'SLURM_PROCID', 0, worldSize - 1)
  const localRank = isSet(env, 'SLURM_LOCALID') ? integer(env, 'SLURM_LOCALID', 0, worldSize - 1) : 0
  const localSize = tasksOfNode(env.SLURM_STEP_TASKS_PER_NODE, Number(env.SLURM_NODEID ?? 0)) ?? localRank + 1
  return { rank, worldSize, localRank, localSize }
}

/** Slurm writes the tasks of each node as `4(x3),2`. */
function tasksOfNode(list: string | undefined, node: number): number | null {
  let first = 0
  for (const [, tasks, nodes = '1'] of (list ?? '').matchAll(/(\d+)(?:\(x(\d+)\))?/g)) {
    first += Number(nodes)
    if (node < first) return Number(tasks)
  }
  return null
}

function fromSlurmArray(env: Environment): Ranks {
  const worldSize = integer(env, 'SLURM_ARRAY_TASK_COUNT', 1)
  const first = integer(env, 'SLURM_ARRAY_TASK_MIN', 0)
  const id = integer(env, 'SLURM_ARRAY_TASK_ID', first, first + worldSize - 1)
  return { rank: id - first, worldSize, localRank: 0, localSize: 1 }
}

const isSet = (env: Environment, name: string): boolean => env[name] !== undefined && env[name] !== ''

function integer(env: Environment, name: string, low: number, high = Number.MAX_SAFE_INTEGER): number {
  const text = env[name]
  const value = Number(text)
  if (text === undefined || !/^\d+$/.test(text) || value < low || value > high) {
    const upTo = high === Number.MAX_SAFE_INTEGER ? `an integer from ${low} on` : `an integer from ${low} to ${high}`
    throw outOfRange(`the environment variable ${name}`, upTo, text)
  }
  return value
}
