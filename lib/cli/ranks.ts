/** Work that is divided among processes which share folders and nothing else. */

import { availableParallelism } from 'node:os'
import { type Ranks, ranksFromEnvironment } from '../distributed/ranks.js'
import { usage } from './exit.js'
import { type ComputeOptions, prepare } from './options.js'

/** This process among those of its job, as torchrun's, Slurm's or Kubernetes' environment says. */
export const ranksOfJob = (): Ranks => usage(() => ranksFromEnvironment(process.env, { arrays: true }))

/** As `prepare`, for one of several processes of this machine: a GPU and a share of the cores for each, unless told otherwise. */
export async function prepareRank(options: ComputeOptions, { localRank, localSize }: Ranks): Promise<string> {
  const threads =
    options.threads ?? (localSize > 1 ? Math.max(1, Math.floor(availableParallelism() / localSize)) : undefined)
  return prepare({ ...options, ...(threads === undefined ? {} : { threads }) }, localRank)
}

/** `rank 1 of 3: `; nothing for a process alone. */
export const rankPrefix = ({ rank, worldSize }: Ranks): string =>
  worldSize === 1 ? '' : `rank ${rank} of ${worldSize}: `
