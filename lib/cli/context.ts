/** What all commands share: exit codes, interruption, output. */

import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander'

/** A wrong use of the command line: exit code 2. */
export class UsageError extends Error {}

/** The command ended because it was told to, with everything in order: exit code 130. */
export class Interrupted extends Error {}

/** Errors about arguments, thrown by `body`, as errors of usage. */
export function usage<T>(body: () => T): T {
  const translate = (error: unknown): never => {
    const wrong = error instanceof TypeError || error instanceof RangeError
    throw wrong ? new UsageError(error.message, { cause: error }) : error
  }
  try {
    const result = body()
    return result instanceof Promise ? (result.catch(translate) as T) : result
  } catch (error) {
    return translate(error)
  }
}

/** 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof UsageError) return 2
  return error instanceof Interrupted ? 130 : 1
}

const wantsJson = () => process.argv.includes('--json')

export function reportError(error: unknown): void {
  const { message, code, stack } = error as Error & { code?: string }
  if (wantsJson()) writeJson({ error: { message, code: code ?? null } })
  if (error instanceof Interrupted) process.stderr.write(`${message}\n`)
  else process.stderr.write(`error: ${process.env.MACTOK_DEBUG ? stack : message}\n`)
}

/** One line of JSON on standard output. */
export const writeJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** `Key   value` lines, the keys padded to one width. */
export function writeTable(rows: [string, unknown][]): void {
  const width = Math.max(...rows.map(([key]) => key.length))
  for (const [key, value] of rows) process.stdout.write(`${key.padEnd(width)}  ${value}\n`)
}

/** Ctrl-C asks to stop in good order; a second one ends the process at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(130)
    process.stderr.write('\nStopping after what runs now; once more to stop at once.\n')
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}

/** Runs what a signal may stop; then the command was interrupted. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await body(interruption())
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    throw code === 'ERR_ABORTED' ? new Interrupted(message, { cause: error }) : error
  }
}

/** `a, b` as its words. */
export const words = (text: string): string[] => text.split(',').map((word) => word.trim())

export function positiveInteger(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0) throw new InvalidArgumentError('Expected a positive integer.')
  return value
}

export function naturalNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError('Expected an integer from 0 on.')
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
    .option('--device <name>', 'cpu, cuda, cuda:1, or auto: CUDA where LibTorch finds it', 'auto')
    .option('--threads <count>', 'threads of the CPU (default: one a core)', positiveInteger)
    .option('--json', 'write JSON to standard output, one line an event')
}

/** Steps to profile: `true` where no number was given. */
export interface ProfileOptions {
  profile?: number | true
}

export const addProfileOption = (command: Command): Command =>
  command.option(
    '--profile [steps]',
    'profile so many steps (default: 5) after three that warm up: profile/trace.json for ui.perfetto.dev, and a table',
    positiveInteger
  )

/** Has a training profile what `--profile` asks for, if it was given. */
export function askForProfile(training: { profile(asked: { steps?: number }): unknown }, { profile }: ProfileOptions) {
  if (profile !== undefined) usage(() => training.profile(profile === true ? {} : { steps: profile }))
}

export const precisionOption = (): Option =>
  new Option('--precision <kind>', 'fp32, tf32 (fp32 with rounded products on CUDA), or bf16 autocast')
    .choices(['fp32', 'tf32', 'bf16'])
    .default('fp32')

/** Loads the addon, sets its threads, and checks the device's name. */
export async function prepare({ device, threads }: ComputeOptions): Promise<string> {
  const [{ addon }, { resolveDevice }] = await Promise.all([import('../native/load.js'), import('../native/device.js')])
  if (threads !== undefined) addon().setThreads(threads)
  return usage(() => resolveDevice(device))
}

/** Adds examples below a command's options. */
export function addExamples(command: Command, examples: Record<string, string>): Command {
  const lines = Object.entries(examples).map(([line, what]) => `  $ ${line}\n      ${what}`)
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}\n`)
}
