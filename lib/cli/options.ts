/** Options that several commands share, and their values. */

import { type Command, InvalidArgumentError } from 'commander'
import { flagName } from '../config.js'
import { usage } from './exit.js'

/** The arguments with flags in kebab-case: `--microBatch=8` becomes `--micro-batch=8`. */
export function kebabFlags(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.map((arg, i) =>
    end !== -1 && i > end ? arg : arg.replace(/^--[a-z][^=]*/i, (flag) => `--${flagName(flag.slice(2))}`)
  )
}

/** The words of `a, b`. */
export const words = (text: string): string[] => text.split(',').map((word) => word.trim())

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0) throw new InvalidArgumentError('Expected a positive integer.')
  return value
}

/** Options of every command that computes. */
export interface ComputeOptions {
  device: string
  threads?: number
  json?: boolean
}

export function addComputeOptions(command: Command): Command {
  return command
    .option('--device <name>', 'cpu, cuda, cuda:1, mps, or auto: CUDA where LibTorch finds it', 'auto')
    .option('--threads <count>', 'CPU threads (default: one per core)', positiveInteger)
    .option('--json', 'write JSON to standard output, one line per event')
}

/**
 * Loads the addon, sets its threads, and resolves the device's name.
 * @param local - the GPU that `auto` and `cuda` mean; default: that of this rank of a training
 */
export async function prepare({ device, threads }: ComputeOptions, local?: number): Promise<string> {
  const [{ addon }, { resolveDevice }, { ranksFromEnvironment }] = await Promise.all([
    import('../native/load.js'),
    import('../native/device.js'),
    import('../distributed/ranks.js')
  ])
  if (threads !== undefined) addon().setThreads(threads)
  return usage(() => resolveDevice(device, local ?? ranksFromEnvironment().localRank))
}

/** How the ranks of a training work together. */
export interface DistributedOptions {
  distributed: boolean
  rankTimeout?: number
  sharded?: boolean
}

export const addDistributedOptions = (command: Command): Command =>
  command
    .option('--no-distributed', 'train alone, although the environment names several ranks')
    .option('--sharded', "divide the optimiser's moments and the average among the ranks, which saves memory")
    .option(
      '--rank-timeout <seconds>',
      'seconds after which a rank that is missing, silent or stuck ends the job (default: 600)',
      positiveInteger
    )

/** `--raw`, of commands that load a model. */
export const addRawOption = (command: Command): Command =>
  command.option('--raw', 'use the latest weights of the training instead of their moving average')

/** Steps to profile: `true` when no number was given. */
export interface ProfileOptions {
  profile?: number | true
}

export const addProfileOption = (command: Command): Command =>
  command.option(
    '--profile [steps]',
    'profile this many steps (default: 5) after three of warm-up: profile/trace.json for ui.perfetto.dev, and a table',
    positiveInteger
  )

/** Requests from a training the profile that `--profile` names, if it was given. */
export function requestProfile(
  training: { profile(options: { steps?: number }): unknown },
  { profile }: ProfileOptions
): void {
  if (profile !== undefined) usage(() => training.profile(profile === true ? {} : { steps: profile }))
}

/** Adds examples below a command's options. */
export function addExamples(command: Command, examples: Record<string, string>): Command {
  const lines = Object.entries(examples).map(([line, what]) => `  $ ${line}\n      ${what}`)
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}\n`)
}
