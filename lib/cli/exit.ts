/** How a command ends: exit codes, usage errors, interruption. */

import { CommanderError } from 'commander'
import { handleSignals, signals } from './signals.js'

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

/** The command stopped in good order because a signal requested it: exit code 130, or 129 after SIGHUP. */
export class Interrupted extends Error {}

/** The exit code that the first signal asks for. */
let interruptedCode: number | undefined

/** Runs `body`, whose TypeErrors and RangeErrors are about arguments: they become usage errors. */
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

/** 0 done, 1 failed, 2 wrong usage, 129 interrupted by SIGHUP, 130 by another signal. */
export function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof UsageError) return 2
  return error instanceof Interrupted ? (interruptedCode ?? 130) : 1
}

/** A signal that Ctrl-C, SIGTERM or SIGHUP aborts; a second Ctrl-C or SIGTERM ends the process at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController()
  handleSignals((name) => {
    if (controller.signal.aborted) {
      // A terminal that closes sends SIGHUP more than once, from the kernel and from the shell.
      if (name !== 'SIGHUP') process.exit(signals[name])
      return
    }
    interruptedCode = signals[name]
    process.stderr.write('\nStopping after the current step; press Ctrl-C again to stop at once.\n')
    controller.abort()
  })
  return controller.signal
}

/** Runs `body` with such a signal; if it was aborted, the command was interrupted. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await body(interruption())
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    throw code === 'ERR_ABORTED' ? new Interrupted(message, { cause: error }) : error
  }
}
